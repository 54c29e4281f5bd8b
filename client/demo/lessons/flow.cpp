// Lesson 1: socket, bind, listen, accept, connect, send, recv, close, on both sides, with what the
// kernel does by itself in between.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

struct Ports {
    std::uint16_t server;
    std::uint16_t client;
};

Text state_text(std::optional<int> state) {
    return state ? plain(state_name(*state)) : Text{"no row any more", "已经没有这一行"};
}

Fd open_door(Story& story, Actor& server) {
    story.heading({"The server opens its door", "服务器先把门打开"});
    story.say(
        {"A server is the side that waits. It needs an address to be found at (bind) and must "
         "say that it takes connections (listen). Port 0 means: kernel, pick a free one.",
         "服务器就是“等”的一方。它要有一个能被找到的地址（bind），还要声明自己接受连接（listen）。"
         "端口写 0，意思是：请内核替我挑一个空闲端口。"});
    Fd listener = server.socket(AF_INET, SOCK_STREAM);
    server.bind(listener, 0);
    const std::uint16_t port = port_of(listener);
    server.tell("getsockname(" + std::to_string(listener.get()) + ")",
                "127.0.0.1:" + std::to_string(port),
                fill({"the kernel picked port {0}", "内核挑中了端口 {0}"}, port));
    server.listen(listener, 4,
                  {"4: the queue before accept; the kernel admits one more",
                   "4：accept 之前的队列长度；内核会多放一条"});
    const TcpView view = tcp_view(listener.get());
    story.claim(port != 0 && view.state == TCP_LISTEN,
                {"The kernel says this socket is in state {0}, on port {1}.",
                 "内核说：这个套接字处于 {0} 状态，端口是 {1}。"},
                state_name(view.state), port);
    return listener;
}

Fd shake_hands(Story& story, Actor& client, const Fd& listener) {
    story.heading({"The client knocks; the kernels shake hands", "客户端敲门，两边内核握手"});
    story.say(
        {"connect() makes the kernel send three packets, the three-way handshake. Note that "
         "the server program does nothing at all meanwhile.",
         "connect() 让内核收发三个报文，这就是三次握手。请注意：此时服务器程序什么都没有做。"});
    story.ask(
        {"When does connect return?", "connect 什么时候返回？"},
        {{"when accept has been called", "调用了 accept 之后"},
         {"when the kernels have shaken hands; accept is not needed",
          "两边内核握手完成之后，不需要 accept"},
         {"at once, before any packet", "立刻，一个报文都还没发"}},
        1,
        {"The kernel completes the handshake and queues the connection; accept only takes it out.",
         "内核自己完成握手并排队，accept 只是从队列里取出来。"});
    Fd fd = client.socket(AF_INET, SOCK_STREAM);
    client.tell("connect(" + std::to_string(fd.get()) +
                    ", 127.0.0.1:" + std::to_string(port_of(listener)) + ") ...",
                "");
    const sockaddr_in address = loopback(port_of(listener));
    const int result =
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (result != 0) throw SysError("connect 127.0.0.1");
    const TcpView mine = tcp_view(fd.get());
    story.packets_or_drawn(
        fd.get(), {{Side::Client, "SYN"}, {Side::Server, "SYN+ACK"}, {Side::Client, "ACK"}});
    client.tell("... connect returns", std::to_string(result));
    story.claim(mine.segments_out == 2 && mine.segments_in == 1,
                {"Counted by the kernel: the client's side has sent {0} packets (SYN, ACK) and got "
                 "{1} (SYN+ACK). That is three, and none carried a byte of ours.",
                 "内核的计数：客户端一侧发出 {0} 个报文（SYN、ACK），收到 {1} 个（SYN+ACK）。"
                 "一共三个，没有一个带着我们的数据。"},
                mine.segments_out, mine.segments_in);
    bool queued_up = false;
    queued_up = eventually([&] { return tcp_view(listener.get()).waiting == 1; });
    story.claim(result == 0 && mine.state == TCP_ESTABLISHED && queued_up,
                {"connect() has returned and the connection is ESTABLISHED, though nobody called "
                 "accept() yet: it stands in the listener's queue, which is 1 long now.",
                 "connect() 已经返回，连接已是 ESTABLISHED，但还没有任何人调用 accept()："
                 "这条连接正排在监听套接字的全连接队列里，队列长度是 1。"});
    return fd;
}

Fd take_it(Story& story, Actor& server, const Fd& listener, const Fd& client) {
    story.heading(
        {"accept: a new socket for this one client", "accept：为这一个客户得到新的套接字"});
    Fd fd = server.accept(listener, {"not the listening one: that one goes on listening",
                                     "不是监听的那个：那个继续监听"});
    const std::uint16_t ours = port_of(client);
    const std::uint16_t theirs = port_of(fd);
    story.claim(
        theirs == port_of(listener) && ours != theirs && tcp_row(ours, theirs) == TCP_ESTABLISHED &&
            tcp_row(theirs, ours) == TCP_ESTABLISHED,
        {"Both ends are ESTABLISHED. The server's end has port {0} as the listener has; the "
         "client got port {1} from the kernel. The four numbers (two addresses, two ports) "
         "name the connection, so ten thousand clients can share port {0}.",
         "两端都是 ESTABLISHED。服务器这端的端口仍是监听端口 {0}；客户端的端口 {1} 是内核分配的。"
         "四元组（两个地址、两个端口）标识一条连接，所以一万个客户也能共用端口 {0}。"},
        theirs, ours);
    return fd;
}

void talk(Story& story, Actor& client, Actor& server, const Fd& near, const Fd& far) {
    story.heading({"send and recv: bytes, both ways", "send 与 recv：双向的字节"});
    const std::string question = "whoami\n";
    const std::string answer = "guest\n";
    client.send(near, question);
    wait_queued(far.get(), question.size());
    const Received heard = server.recv(far, 1024);
    server.send(far, answer);
    wait_queued(near.get(), answer.size());
    const Received told = client.recv(near, 1024);
    story.claim(heard.bytes == question && told.bytes == answer,
                {"What went in at one end came out at the other, in order, both ways.",
                 "一端放进去的字节，按顺序从另一端出来；两个方向都是如此。"});
}

void part(Story& story, Actor& client, Actor& server, Fd near, Fd far) {
    story.heading({"close: who goes first, waits", "close：谁先关，谁等待"});
    story.ask({"The client closes first. Which side ends in TIME_WAIT?",
               "客户端先 close，最后哪一边停在 TIME_WAIT？"},
              {{"the client", "客户端"},
               {"the server", "服务器"},
               {"both", "两边都是"},
               {"neither", "两边都不是"}},
              0,
              {"The side that closes first waits, so that late packets find no new connection.",
               "先关闭的一方要等，以免迟到的报文落进新的连接。"});
    const Ports ports{port_of(far), port_of(near)};
    const auto client_row = [&] { return tcp_row(ports.client, ports.server); };
    const auto server_row = [&] { return tcp_row(ports.server, ports.client); };
    Table table;
    table.head = {
        {"after", "此刻"}, {"client's state", "客户端状态"}, {"server's state", "服务器状态"}};
    const auto note = [&](const Text& when) {
        table.rows.push_back({when, state_text(client_row()), state_text(server_row())});
    };
    note({"before any close", "都还没有 close"});

    client.close(near);
    story.drawn(Side::Client, "FIN");
    story.drawn(Side::Server, "ACK");
    const bool half =
        eventually([&] { return client_row() == TCP_FIN_WAIT2 && server_row() == TCP_CLOSE_WAIT; });
    note({"the client's close", "客户端 close 之后"});
    const Received end = server.recv(
        far, 1024, 0, {"0: the client will send no more", "返回 0：客户端不会再发数据了"});
    server.close(far);
    story.drawn(Side::Server, "FIN");
    story.drawn(Side::Client, "ACK");
    const bool over =
        eventually([&] { return client_row() == TCP_TIME_WAIT && !server_row().has_value(); });
    note({"the server's close", "服务器 close 之后"});
    story.tell(table);
    story.claim(half && end.bytes.empty() && end.error == 0,
                {"After one close TCP is half closed: FIN_WAIT2 here, CLOSE_WAIT there. A program "
                 "that leaves sockets in CLOSE_WAIT forgot to close them.",
                 "一端 close 之后，TCP 处于半关闭：这边 FIN_WAIT2，那边 CLOSE_WAIT。"
                 "如果一个程序积压了大量 CLOSE_WAIT，就是它自己忘了 close。"});
    story.claim(
        over, {"The side that closes first stays in TIME_WAIT: here the client, and the server is "
               "free at once. Linux keeps it for 60 seconds; RFC 9293 says twice the maximum "
               "segment lifetime (2 MSL).",
               "先关闭的一方要停留在 TIME_WAIT：这次是客户端，服务器立刻脱身。"
               "Linux 固定为 60 秒；RFC 9293 的规定是两倍报文最长寿命（2 MSL）。"});
}

}  // namespace

void lesson_flow(Story& story, unsigned) {
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    {
        const Fd listener = open_door(story, server);
        Fd near = shake_hands(story, client, listener);
        Fd far = take_it(story, server, listener, near);
        talk(story, client, server, near, far);
        part(story, client, server, std::move(near), std::move(far));
    }
    flow_close(story);
    flow_queue(story);
    flow_ports(story);
    flow_unix(story);
    story.source("listen", {"socket, bind, listen for real, with the reason for each option.",
                            "真正的 socket、bind、listen，每个选项都写明了理由。"});
    story.source("time-wait", {"TIME_WAIT, and what SO_REUSEADDR does about it.",
                               "TIME_WAIT，以及 SO_REUSEADDR 怎样应对它。"});
    story.source("peer-uid", {"Who calls, as the kernel knows it in AF_UNIX.",
                              "在 AF_UNIX 里向内核询问对方是谁。"});
    story.source("read-some",
                 {"One read(2): done, would block, or end of file. End of file is an "
                  "outcome, not an error.",
                  "一次 read(2) 只有三种结果：读到了、暂时没有、到头了。到头不是错误。"});
    story.source("finish-writing", {"How frsh says \"I have said everything\" and still listens.",
                                    "frsh 这样表示“我说完了”，同时继续听。"});
}

}  // namespace frsh::demo
