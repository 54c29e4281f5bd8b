// Lesson 5: an empty message is invisible in a stream; what 0 from recv means and does not mean.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/lessons/naive_shell.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr int kPatienceMs = 300;

void nothing_is_sent(Story& story) {
    story.heading({"Sending nothing sends nothing", "发送“空”，就是什么都没发"});
    story.ask(
        {"What leaves for send(fd, nothing, 0)?", "send 0 个字节，会发出什么？"},
        {{"a packet without data", "一个没有数据的报文"},
         {"nothing at all", "什么都不发"},
         {"an error is returned", "返回错误"}},
        1, {"send returns 0 and the kernel makes no packet.", "send 返回 0，内核不发任何报文。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    const std::uint32_t before = tcp_view(connection.client.get()).segments_out;
    const ssize_t sent = client.send(connection.client, "");
    const std::uint32_t after = tcp_view(connection.client.get()).segments_out;
    const bool came = becomes_readable(connection.server.get(), kPatienceMs);
    server.tell("poll(" + std::to_string(connection.server.get()) + ", POLLIN, " +
                    std::to_string(kPatienceMs) + " ms)",
                came ? "1" : "0", {"nothing came", "什么都没等到"});
    story.claim(sent == 0 && after == before && !came,
                {"send of 0 bytes succeeds, the kernel sends {0} packets for it, and the reader "
                 "learns nothing.",
                 "send 0 个字节是“成功”的，但内核为此发出 {0} 个报文，接收方毫不知情。"},
                after - before);
    client.send(connection.client, "left");
    client.send(connection.client, "");
    client.send(connection.client, "right");
    wait_queued(connection.server.get(), 9);
    const Received all = server.recv(connection.server, 1024);
    story.tell(Ribbon{
        {"Three sends; the second, B, is nowhere", "三次 send；第二次（B）无影无踪"},
        {{plain("send A"), "left", 0}, {plain("send B"), "", 1}, {plain("send C"), "right", 2}},
        {{plain("recv 1"), all.bytes.size()}}});
    story.claim(all.bytes == "leftright",
                {"An empty message does not exist in a stream: nothing between left and right says "
                 "that somebody sent one.",
                 "字节流里不存在“空消息”：left 和 right 之间没有任何痕迹表明有人发过一条。"});
}

void waiting_for_ever(Story& story) {
    story.heading({"So a command without output hangs both", "于是，没有输出的命令会让双方都卡住"});
    story.say(
        {"In the naive shell the server sends what the command printed. \"true\" prints nothing, "
         "and so do cd, cp, mkdir.",
         "在上一课那个程序里，服务器把命令的输出发回来。可是 true 什么都不输出，"
         "cd、cp、mkdir 也一样。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, "true");
    const Turn turn = serve_once(server, connection.server);
    const bool came = becomes_readable(connection.client.get(), kPatienceMs);
    client.tell("poll(" + std::to_string(connection.client.get()) + ", POLLIN, " +
                    std::to_string(kPatienceMs) + " ms)",
                came ? "1" : "0", {"recv here would wait for ever", "此处若 recv，会永远等下去"});
    const bool both_empty =
        queued(connection.client.get()) == 0 && queued(connection.server.get()) == 0;
    const bool both_up = tcp_view(connection.client.get()).state == TCP_ESTABLISHED &&
                         tcp_view(connection.server.get()).state == TCP_ESTABLISHED;
    story.claim(
        turn.ran.output.empty() && !came && both_empty && both_up,
        {"The client waits for an answer, the server for the next command; both queues are "
         "empty, the connection is ESTABLISHED, and nobody made an error the kernel could "
         "report. That is a deadlock. Tutorials cure it with \"if nothing was printed, send "
         "the word done\", and then no command may print done.",
         "客户端在等结果，服务器在等下一条命令；两边的接收队列都空着，连接是 ESTABLISHED，"
         "内核看不出任何错误。这就是死锁。教程里的补丁是“没有输出就发一个 done”，"
         "可这样一来，任何命令都不能真的输出 done 了。"});
}

void end_of_file(Story& story) {
    story.heading({"What recv's 0 means: the end", "recv 返回 0 的含义：对方不会再发了"});
    story.ask({"After 0, what does the next recv return?", "recv 返回 0 之后，再 recv 会怎样？"},
              {{"it waits", "一直等"}, {"0 again", "还是 0"}, {"-1 ENOTCONN", "-1 ENOTCONN"}}, 1,
              {"The end of the stream stays the end.", "流的结尾永远是结尾。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, "last words");
    client.shutdown_writing(connection.client,
                            {"half-close: I have said everything", "半关闭：我的话说完了"});
    const bool told =
        eventually([&] { return tcp_view(connection.server.get()).state == TCP_CLOSE_WAIT; });
    const Received words = server.recv(connection.server, 1024);
    const Received end = server.recv(connection.server, 1024);
    const Received again =
        server.recv(connection.server, 1024, 0, {"and again, for ever", "再读还是 0，永远如此"});
    server.send(connection.server, "answer", 0,
                {"the other direction still works", "另一个方向照常可用"});
    wait_queued(connection.client.get(), 6);
    const Received answer = client.recv(connection.client, 1024);
    story.claim(
        told && words.bytes == "last words" && end.bytes.empty() && end.error == 0 &&
            again.bytes.empty() && again.error == 0,
        {"0 comes only after all that was sent has been read, and then every time. It is not "
         "an empty message; it says that no message will come any more. A loop that does not "
         "stop at 0 spins at 100 % CPU.",
         "0 只在之前发的数据全部读完之后才出现，而且之后每次都是 0。它不是一条空消息，"
         "而是“以后不会再有消息”。循环里不判断 0，CPU 就会空转到 100%。"});
    story.claim(answer.bytes == "answer",
                {"It ends one direction only (half-close): the server could still answer.",
                 "它只结束一个方向（半关闭）：服务器之后仍然可以应答。"});
}

// A child sends half of a message and is killed: its kernel closes the connection in good order.
void killed_sender(Story& story) {
    Actor server(story, Side::Server);
    Connection connection = quiet_connection();
    const pid_t child = check(::fork(), "fork");
    if (child == 0) {
        connection.server.close();
        static_cast<void>(::send(connection.client.get(), "half a mess", 11, MSG_NOSIGNAL));
        ::raise(SIGKILL);
        ::_exit(1);
    }
    connection.client.close();
    int status = 0;
    check(::waitpid(child, &status, 0), "waitpid");
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    server.tell("kill -9 the sender", killed ? "0" : "-1",
                {"after \"half a mess\" of \"half a message\"", "在它只发出 \"half a mess\" 之后"});
    const Received part = server.recv(connection.server, 1024);
    const Received end = server.recv(connection.server, 1024);
    story.claim(killed && part.bytes == "half a mess" && end.bytes.empty() && end.error == 0,
                {"A sender that is killed looks the same: its kernel sends a FIN, and recv returns "
                 "0. So 0 says that all that was sent has arrived, not all that was meant. Only a "
                 "length, or a last frame, can tell the difference.",
                 "被杀死的发送方看起来一模一样：内核照样发 FIN，recv 返回 0。"
                 "所以 0 的意思是“发出的都到了”，而不是“该发的都到了”。"
                 "只有长度或最后一帧才能分辨。"});
}

void other_ends(Story& story) {
    story.heading({"0 is not an error, and an error is not 0", "0 不是错误，错误也不是 0"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    Connection connection = quiet_connection();
    server.send(connection.server, "you never read this");
    wait_queued(connection.client.get(), 19);
    client.close(connection.client, {"with bytes unread: the kernel sends RST, not FIN",
                                     "还有数据没读就关：内核发的是 RST，不是 FIN"});
    story.drawn(Side::Client, "RST");
    becomes_readable(connection.server.get(), 2000);
    const Received reset = server.recv(connection.server, 1024);
    story.claim(
        reset.error == ECONNRESET,
        {"ECONNRESET: here the peer closed with bytes unread. It has other causes, too: a "
         "restarted machine, a firewall, SO_LINGER of 0. After 0 all that was sent has arrived; "
         "after ECONNRESET nothing is known.",
         "ECONNRESET：这里是因为对方没读完就关闭。它还有别的原因：对方重启、防火墙、SO_LINGER 为 "
         "0。"
         "返回 0 表示发出的都到了；而这里，你无从知道。"});
    killed_sender(story);

    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    const sockaddr_in to = loopback(port_of(far));
    ::sendto(near.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    client.tell("sendto(" + std::to_string(near.get()) + ", \"\", 0)  [UDP]", "0");
    const bool arrived = becomes_readable(far.get(), 2000);
    const Received empty =
        server.recv(far, 1024, 0, {"a datagram of no bytes", "一个 0 字节的数据报"});
    story.claim(
        arrived && empty.error == 0 && empty.bytes.empty(),
        {"With datagrams nothing can be sent: an empty one arrives, and there recv's 0 is a "
         "message, not the end.",
         "数据报可以发送“空”：空数据报真的会到，这时 recv 的 0 是一条消息，不是结束。"});

    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    const Connection local{Fd(ends[0]), Fd(ends[1])};
    client.send(local.client, "", 0, plain("[AF_UNIX, SOCK_SEQPACKET]"));
    const bool came = becomes_readable(local.server.get(), 2000);
    const Received nothing = server.recv(local.server, 1024);
    story.claim(
        came && nothing.error == 0 && nothing.bytes.empty(),
        {"UDP is not alone: SOCK_SEQPACKET and datagrams of AF_UNIX keep boundaries, so "
         "they can carry an empty message as well.",
         "不只是 UDP：AF_UNIX 的 SOCK_SEQPACKET 和数据报也保留边界，同样能送出一条空消息。"});
}

}  // namespace

void lesson_empty(Story& story, unsigned) {
    nothing_is_sent(story);
    waiting_for_ever(story);
    end_of_file(story);
    other_ends(story);
    story.source("end-of-file",
                 {"0 becomes a value of its own, EndOfFile, told apart from \"nothing "
                  "yet\".",
                  "0 变成一个独立的值 EndOfFile，与“暂时没有”区分开。"});
    story.source("link-cut", {"An end in the middle of a frame is no clean end, and is said.",
                              "在一帧中间断开不算正常结束，必须说出来。"});
}

}  // namespace frsh::demo
