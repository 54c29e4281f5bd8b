// Lesson 2: several sends arrive in one recv, whatever TCP does about small packets.
#include "client/demo/actor.hpp"
#include "client/demo/kernel_view.hpp"
#include "client/demo/lessons.hpp"

#include <array>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::array kMessages = {"echo one;", "echo two;", "echo three;"};

struct Merged {
    std::uint32_t packets = 0;  // That carried data.
    bool all_in_one = false;
};

Ribbon ribbon_of(const Text& caption, std::size_t received) {
    Ribbon ribbon{caption, {}, {}};
    for (std::size_t i = 0; i < kMessages.size(); ++i) {
        ribbon.pieces.push_back(
            {plain(std::string("send ") + static_cast<char>('A' + i)), kMessages[i], i});
    }
    ribbon.takes.push_back({plain("recv 1"), received, Take::Kind::Received});
    return ribbon;
}

std::size_t total() {
    std::size_t size = 0;
    for (const std::string_view message : kMessages)
        size += message.size();
    return size;
}

// Sends all, waits until the kernel has all of it at the other end, and only then reads.
bool send_then_read(Story& story, const Connection& connection, const Text& caption) {
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    std::string sent;
    for (const char* const message : kMessages) {
        client.send(connection.client, message);
        sent += message;
    }
    const bool arrived = wait_queued(connection.server.get(), sent.size());
    server.tell("ioctl(" + std::to_string(connection.server.get()) + ", FIONREAD)",
                std::to_string(queued(connection.server.get())),
                {"all of it waits in the kernel", "全都在内核的接收缓冲区里等着"});
    const Received received = server.recv(connection.server, 1024);
    story.tell(ribbon_of(caption, received.bytes.size()));
    return arrived && received.bytes == sent;
}

void over_tcp(Story& story) {
    story.heading({"Three sends, one recv", "三次 send，一次 recv"});
    story.say(
        {"A reader that is busy for a moment is enough. Here the server reads only after all "
         "three sends have arrived; the lesson asks the kernel for that and guesses nothing.",
         "接收方只要忙上一会儿就够了。这里服务器等三次 send 都到齐才去读；"
         "是否到齐由内核来回答，绝不靠 sleep 碰运气。"});
    const Connection connection = quiet_connection();
    const bool merged = send_then_read(story, connection,
                                       {"The stream, as it went in (above) and came out (below)",
                                        "字节流：上面是怎样放进去的，下面是怎样取出来的"});
    story.claim(
        merged,
        {"One recv returned all {0} bytes of three sends. Nothing in them says where one "
         "ends and the next begins: the packets stuck together.",
         "一次 recv 拿到了三次 send 的全部 {0} 个字节。里面没有任何东西说明哪里是一条的结尾、"
         "哪里是下一条的开头：这就是粘包（也写作黏包）。"},
        total());
}

void without_nagle(Story& story) {
    story.heading({"Is it Nagle? Switch Nagle off", "是 Nagle 算法的错吗？把它关掉"});
    story.say(
        {"Many pages blame the Nagle algorithm, which holds back small packets. With "
         "TCP_NODELAY each send leaves at once, in a packet of its own.",
         "很多文章把粘包归咎于 Nagle 算法（它会攒小包）。"
         "设置 TCP_NODELAY 之后，每次 send 都立刻单独成包发出。"});
    const Connection connection = quiet_connection();
    Actor client(story, Side::Client);
    client.set_option(connection.client, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    const bool merged = send_then_read(
        story, connection, {"With TCP_NODELAY: exactly the same", "打开 TCP_NODELAY：一模一样"});
    const std::uint32_t packets = tcp_view(connection.client.get()).data_segments;
    story.claim(merged && packets == 3,
                {"The kernel counted {0} packets with data, one for each send, and one recv took "
                 "them all. So Nagle is not the cause: TCP delivers a stream of bytes and has no "
                 "messages to keep apart. (\"Sticky packet\" is a name for our own mistake.)",
                 "内核数到 {0} 个带数据的报文，每次 send 一个，而一次 recv 把它们全拿走了。"
                 "所以 Nagle 不是原因：TCP 交付的是字节流，根本没有“消息”可供分隔。"
                 "（“粘包”其实是我们自己误解的名字，TCP 没有做错任何事。）"},
                packets);
}

void corked(Story& story) {
    story.heading({"The sender's kernel may glue, too", "发送方的内核也会合并"});
    story.say(
        {"TCP_CORK tells the kernel to wait for more before it sends. Then the three are glued "
         "before they even leave, and the reader cannot tell the difference.",
         "TCP_CORK 让内核先攒着再发。这样三次 send "
         "还没出门就已经合在一起，而接收方看不出任何区别。"});
    const Connection connection = quiet_connection();
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    client.set_option(connection.client, IPPROTO_TCP, TCP_CORK, 1, "TCP_CORK");
    for (const char* const message : kMessages)
        client.send(connection.client, message);
    const std::size_t before = queued(connection.server.get());
    client.set_option(connection.client, IPPROTO_TCP, TCP_CORK, 0, "TCP_CORK");
    wait_queued(connection.server.get(), total());
    const std::uint32_t packets = tcp_view(connection.client.get()).data_segments;
    const Received received = server.recv(connection.server, 1024);
    story.claim(
        before == 0 && packets == 1 && received.bytes.size() == total(),
        {"Three sends, {0} packet, one recv of {1} bytes. A send is not a packet, and a "
         "packet is not a recv: the three numbers have nothing to do with each other.",
         "三次 send，{0} 个报文，一次 recv 得到 {1} 字节。send 的次数、报文的个数、recv 的次数，"
         "三者之间没有任何对应关系。"},
        packets, received.bytes.size());
}

void over_unix(Story& story) {
    story.heading({"No TCP at all", "完全没有 TCP 也一样"});
    const Connection connection = quiet_unix_connection();
    const bool merged =
        send_then_read(story, connection,
                       {"An AF_UNIX stream, without any packets", "AF_UNIX 字节流，没有任何报文"});
    story.claim(merged,
                {"An AF_UNIX stream sticks as well, and so does a pipe. It is in the word "
                 "SOCK_STREAM.",
                 "AF_UNIX 的流同样粘，管道也一样。答案就写在 SOCK_STREAM 这个名字里：流。"});
}

}  // namespace

void lesson_merge(Story& story, unsigned) {
    over_tcp(story);
    without_nagle(story);
    corked(story);
    over_unix(story);
    story.source("nodelay",
                 {"frsh switches Nagle off, for speed; against sticking it does nothing.",
                  "frsh 关掉 Nagle 是为了快；对粘包它毫无作用。"});
    story.source("link-drain",
                 {"frsh reads up to 128 KiB at once and then takes out frame after frame, however "
                  "many stuck together.",
                  "frsh 一次最多读 128 KiB，然后一帧一帧地取出来，粘了多少帧都无所谓。"});
    story.source("frame-next", {"And this takes them apart.", "拆开它们的就是这个函数。"});
}

}  // namespace frsh::demo
