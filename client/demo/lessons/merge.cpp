// Lesson 2: several sends arrive in one recv, whatever TCP does about small packets.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::array kMessages = {"echo one;", "echo two;", "echo three;"};

struct Merged {
    std::uint32_t packets = 0;  // Packets with data.
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

// Sends everything, waits until the receiver's kernel has it, and only then reads.
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
    story.ask({"Three sends have arrived. What does one recv(1024) return?",
               "三次 send 都到了，一次 recv(1024) 返回什么？"},
              {{"the first message", "第一条消息"},
               {"all three, joined", "三条连在一起"},
               {"an error", "错误"}},
              1,
              {"recv returns what is in the buffer, up to 1024 bytes; there are no messages in it.",
               "recv 返回缓冲区里的字节，最多 1024 个；里面没有“消息”。"});
    const Connection connection = quiet_connection();
    const bool merged = send_then_read(story, connection,
                                       {"The stream, as it went in (above) and came out (below)",
                                        "字节流：上面是怎样放进去的，下面是怎样取出来的"});
    story.claim(
        merged,
        {"One recv returned all {0} bytes of three sends, which left in {1} packets. Nothing in "
         "the bytes marks where one message ends and the next begins: the packets stuck "
         "together.",
         "一次 recv 拿到了三次 send 的全部 {0} 个字节，它们分成 {1} 个报文发出。"
         "里面没有任何东西说明哪里是一条的结尾、哪里是下一条的开头：这就是粘包。"},
        total(), tcp_view(connection.client.get()).data_segments);
}

struct Timed {
    std::uint32_t packets = 0;  // Packets with data.
    double milliseconds = 0;    // From the first send until all bytes had arrived.
};

// Makes three sends to a receiver that delays its ACKs, as Linux does on an established connection.
Timed time_three_sends(bool nodelay) {
    const Connection connection = quiet_connection();
    const int on = nodelay ? 1 : 0;
    const int delayed = 0;
    ::setsockopt(connection.client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(connection.server.get(), IPPROTO_TCP, TCP_QUICKACK, &delayed, sizeof delayed);
    const auto begin = std::chrono::steady_clock::now();
    for (const std::string_view message : kMessages)
        static_cast<void>(
            ::send(connection.client.get(), message.data(), message.size(), MSG_NOSIGNAL));
    wait_queued(connection.server.get(), total());
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    return {tcp_view(connection.client.get()).data_segments, spent.count()};
}

std::string in_milliseconds(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms", value);
    return text;
}

void nagle_and_delayed_ack(Story& story) {
    story.heading({"Nagle is one cause", "Nagle 算法是原因之一"});
    story.say(
        {"The Nagle algorithm holds back a small packet while an earlier one is not "
         "acknowledged (RFC 896), and a receiver delays its ACK by about 40 ms in the hope of "
         "sending it with an answer (RFC 1122, 4.2.3.2). Here the three sends are timed until all "
         "bytes have arrived.",
         "Nagle 算法（RFC 896）：前一个小包还没被确认时，后面的小包先攒着；接收方又会把 ACK 推迟"
         "约 40 毫秒，希望和应答一起发（RFC 1122）。下面测量三次 send 到全部到达所用的时间。"});
    // If the process loses the processor between two sends, the try is spoilt. At most five are
    // made.
    Timed held;
    for (int i = 0; i < 5 && held.packets != 2; ++i)
        held = time_three_sends(false);
    const Timed direct = time_three_sends(true);
    Table table;
    table.head = {{"", ""}, {"data packets", "数据报文"}, {"all arrived after", "全部到达用时"}};
    table.rows = {{{"Nagle, delayed ACK", "Nagle + 延迟 ACK"},
                   plain(std::to_string(held.packets)),
                   plain(in_milliseconds(held.milliseconds))},
                  {plain("TCP_NODELAY"), plain(std::to_string(direct.packets)),
                   plain(in_milliseconds(direct.milliseconds))}};
    story.tell(table);
    story.claim(
        held.packets == 2 && direct.packets == 3 && held.milliseconds > direct.milliseconds,
        {"With Nagle the first send left alone; the second and third waited for its ACK and "
         "left in one packet. Here the sender's kernel did merge messages.",
         "有 Nagle 时，第一次 send 单独发出；第二、三次等到它的 ACK，"
         "合成一个报文发出。这一次确实是发送方内核把消息合并了。"});
}

void without_nagle(Story& story) {
    story.heading({"Switch Nagle off: it still sticks", "把 Nagle 关掉：照样粘"});
    story.say(
        {"Many pages name Nagle as the cause. With TCP_NODELAY each of these small sends leaves "
         "at once. (TCP does not promise a packet for each send even then.)",
         "很多文章说粘包就是 Nagle 造成的。设置 TCP_NODELAY 之后，这几次小的 send 都立刻发出。"
         "（即便如此，TCP 也不保证一次 send 一个报文。）"});
    story.ask({"With TCP_NODELAY, do the three still arrive in one recv?",
               "设置 TCP_NODELAY 之后，三条还会在一次 recv 里吗？"},
              {{"no: one recv for each packet", "不会：一个报文一次 recv"}, {"yes", "会"}}, 1,
              {"The packets are apart on the wire. In the receive buffer they are one stream.",
               "报文在线路上是分开的，进了接收缓冲区就是一条字节流。"});
    const Connection connection = quiet_connection();
    Actor client(story, Side::Client);
    client.set_option(connection.client, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    const bool merged = send_then_read(
        story, connection, {"With TCP_NODELAY: exactly the same", "打开 TCP_NODELAY：一模一样"});
    const std::uint32_t packets = tcp_view(connection.client.get()).data_segments;
    story.claim(merged && packets == 3,
                {"The kernel counted {0} packets with data, one for each send, and one recv took "
                 "them all. So Nagle is one cause and not the reason: TCP delivers a stream of "
                 "bytes and has no messages to keep apart. (\"Sticky packet\" is a name for our "
                 "own mistake.)",
                 "内核数到 {0} 个带数据的报文，每次 send 一个，而一次 recv 把它们全拿走了。"
                 "所以 Nagle 只是原因之一，不是根源：TCP 交付的是字节流，根本没有“消息”可供分隔。"
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
    nagle_and_delayed_ack(story);
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
