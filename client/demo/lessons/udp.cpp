// Lesson 7: datagrams. One send is one recv, or none.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

// The largest IPv4 packet, 65535 bytes, less 20 bytes of IP header and 8 of UDP header.
constexpr std::size_t kLargest = 65507;

ssize_t send_to(Actor& actor, const Fd& fd, std::uint16_t port, std::string_view bytes,
                const Text& note = {}) {
    const sockaddr_in to = loopback(port);
    const ssize_t put = ::sendto(fd.get(), bytes.data(), bytes.size(), 0,
                                 reinterpret_cast<const sockaddr*>(&to), sizeof to);
    const int error = errno;
    actor.tell("sendto(" + std::to_string(fd.get()) + ", " + demo::quoted(bytes, 12) + ", " +
                   std::to_string(bytes.size()) + ")",
               put == -1 ? "-1 " + error_name(error) : std::to_string(put), note);
    if (put == -1 && error != EMSGSIZE) throw SysError("sendto 127.0.0.1", error);
    errno = error;
    return put;
}

void boundaries(Story& story) {
    story.heading({"Three sends, three recvs", "三次 sendto，三次 recv"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    const std::array<std::string, 3> messages = {"echo one;", "echo two;", "echo three;"};
    Ribbon ribbon{{"Datagrams: every bracket below ends where one above does",
                   "数据报：下面每个括号都与上面的对齐"},
                  {},
                  {}};
    for (std::size_t i = 0; i < messages.size(); ++i) {
        send_to(client, near, port_of(far), messages[i]);
        ribbon.pieces.push_back(
            {plain(std::string("send ") + static_cast<char>('A' + i)), messages[i], i});
    }
    std::vector<std::string> got;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        got.push_back(server.recv(far, 1024).bytes);
        ribbon.takes.push_back({plain("recv " + std::to_string(i + 1)), got.back().size()});
    }
    story.tell(ribbon);
    story.claim(std::equal(got.begin(), got.end(), messages.begin(), messages.end()),
                {"All three were waiting before the first recv, as in lesson merge, and still each "
                 "recv returned exactly one. UDP keeps boundaries: nothing sticks.",
                 "和 merge 一课一样，三条都到齐了才去读，可每次 recv 恰好返回一条。UDP "
                 "保留消息边界，不会粘包。"});
}

void short_buffer(Story& story) {
    story.heading({"A short buffer cuts, and the rest is gone", "缓冲区太短：被截断，剩下的没了"});
    story.ask({"A datagram of 26 bytes, recv with room for 10. What does the next recv return?",
               "26 字节的数据报，只用 10 字节的缓冲区去收。下一次 recv 得到什么？"},
              {{"the next 10 bytes", "接下来的 10 个字节"},
               {"the next datagram", "下一个数据报"},
               {"-1 EMSGSIZE", "-1 EMSGSIZE"}},
              1,
              {"One recv consumes one datagram; what does not fit is dropped.",
               "一次 recv 消耗一个数据报，放不下的就丢掉。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    const std::string alphabet = "abcdefghijklmnopqrstuvwxyz";
    send_to(client, near, port_of(far), alphabet);
    send_to(client, near, port_of(far), "next");
    std::string buffer(10, '\0');
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t got = ::recvmsg(far.get(), &message, 0);
    const bool cut = (message.msg_flags & MSG_TRUNC) != 0;
    server.tell("recvmsg(" + std::to_string(far.get()) + ", buf of 10)",
                std::to_string(got) + (cut ? "  MSG_TRUNC" : ""));
    const Received next = server.recv(far, 10);
    story.tell(Ribbon{{"16 bytes are in no recv", "有 16 个字节不属于任何一次 recv"},
                      {{plain("send A"), alphabet, 0}, {plain("send B"), "next", 1}},
                      {{plain("recv 1"), 10},
                       {{"lost", "丢失"}, 16, Take::Kind::Lost},
                       {plain("recv 2"), next.bytes.size()}}});
    story.claim(
        got == 10 && cut && next.bytes == "next",
        {"recv took 10 of 26 bytes, and the next recv got the next datagram: the other 16 are "
         "gone. A stream would have kept them (lesson split). Only MSG_TRUNC tells.",
         "recv 取了 26 字节中的 10 个，下一次 recv 得到的是下一个数据报：那 16 个字节没了。"
         "换成字节流就会留着（见 split 一课）。只有 MSG_TRUNC 标志会告诉你。"});
}

void sizes(Story& story) {
    story.heading({"How large may a datagram be?", "数据报最大能有多大？"});
    story.say(
        {"The custom of 512 bytes: RFC 791 obliges every host to take packets of 576 bytes, "
         "\"a data block of 512 octets plus 64 header octets\"; RFC 1035 then limited DNS over "
         "UDP to 512. It is a custom, not a limit of recv(1024). The limit is the 16-bit "
         "length of IPv4: 65535 - 20 - 8 = {0}.",
         "512 字节的惯例从哪来：RFC 791 规定每台主机至少能接收 576 字节的报文，"
         "即“512 字节数据加 64 字节首部”；RFC 1035 据此规定 UDP 上的 DNS 消息不超过 512 字节。"
         "这是惯例，不是硬限制。硬限制来自 IPv4 的 16 位长度字段：65535 - 20 - 8 = {0}。"},
        kLargest);
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    const std::string large(kLargest + 1, 'x');
    const ssize_t fits = send_to(client, near, port_of(far), {large.data(), kLargest});
    const Received whole = server.recv(far, 70000);
    const ssize_t refused = send_to(client, near, port_of(far), large);
    const int error = errno;
    story.claim(fits == static_cast<ssize_t>(kLargest) && whole.bytes.size() == kLargest &&
                    refused == -1 && error == EMSGSIZE,
                {"{0} bytes go through (on loopback, whose MTU is 65536), one more is refused with "
                 "EMSGSIZE, at once. On Ethernet what is larger than 1472 bytes is cut "
                 "into IP fragments, and one lost fragment loses the datagram.",
                 "{0} 字节能通过（回环接口的 MTU 是 65536），再多一个字节立刻被拒绝：EMSGSIZE。"
                 "在以太网上，超过 1472 字节就要 IP 分片，丢一片等于整个数据报都丢。"},
                kLargest);
}

void arrival(Story& story) {
    story.heading({"Arrival is not promised", "不保证到达"});
    story.ask({"100 datagrams of 512 bytes go to a buffer of 4 KiB. How many sends succeed?",
               "把 100 个 512 字节的数据报发往 4 KiB 的缓冲区，有几次 sendto 成功？"},
              {{"about 8", "大约 8 次"}, {"all 100", "100 次全部"}, {"none", "一次也没有"}}, 1,
              {"Success means that the kernel took it, not that it arrived.",
               "成功只表示内核收下了，不表示到达。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    server.set_option(far, SOL_SOCKET, SO_RCVBUF, 4096, "SO_RCVBUF",
                      {"a small buffer, and nobody reads for now", "缓冲区很小，而且暂时没人读"});
    constexpr int kCount = 100;
    const std::string block(512, 'x');
    const sockaddr_in to = loopback(port_of(far));
    int sent = 0;
    for (int i = 0; i < kCount; ++i) {
        sent += ::sendto(near.get(), block.data(), block.size(), 0,
                         reinterpret_cast<const sockaddr*>(&to), sizeof to) == 512;
    }
    client.tell("sendto(" + std::to_string(near.get()) + ", block, 512)  × 100",
                "512  × " + std::to_string(sent));
    int arrived = 0;
    std::string buffer(1024, '\0');
    while (::recv(far.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) == 512)
        ++arrived;
    server.tell("recv(" + std::to_string(far.get()) + ", buf, 1024)  × " + std::to_string(arrived),
                "512  × " + std::to_string(arrived));
    story.claim(
        sent == kCount && arrived > 0 && arrived < kCount,
        {"{0} sends, all \"successful\"; {1} arrived. The buffer was full, the kernel threw "
         "{2} away and told nobody. This was one machine, without any network. (Order is not "
         "promised either; on loopback it happens to hold, so it is not shown.)",
         "{0} 次发送全部“成功”，到达的只有 {1} 个。缓冲区满了，内核扔掉 {2} 个，谁也没告诉。"
         "这还只是在一台机器上，根本没有网络。（顺序也不保证；在回环上碰巧不会乱，所以不演示。）"},
        sent, arrived, sent - arrived);
}

void no_connection(Story& story) {
    story.heading({"No connection: nobody need be there", "没有连接：对面可以没有人"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    std::uint16_t empty_port = 0;
    {
        const Fd gone = quiet_udp();
        empty_port = port_of(gone);
    }
    const Fd near = quiet_udp();
    const ssize_t put =
        send_to(client, near, empty_port, "hello?",
                {"nobody has this port, and it succeeds", "这个端口上没有人，照样“成功”"});
    const bool silent = !becomes_readable(near.get(), 200);
    const Fd bound = quiet_udp();
    client.connect(bound, empty_port,
                   {"only notes the address; no packet", "只是记下地址，不发报文"});
    const ssize_t sent = client.send(bound, "hello?");
    becomes_readable(bound.get(), 2000);
    const Received refused = client.recv(bound, 1024);
    story.claim(put == 6 && silent && sent == 6 && refused.error == ECONNREFUSED,
                {"To a port without a reader sendto succeeds. A socket that was connect()ed gets "
                 "the ICMP answer later, as ECONNREFUSED.",
                 "发往没人的端口，sendto 也成功。connect() 过的套接字，事后才会通过 ICMP "
                 "得知：ECONNREFUSED。"});
    const Fd listening = quiet_udp();
    client.set_option(listening, IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR");
    send_to(client, listening, empty_port, "hello?");
    becomes_readable(listening.get(), 2000);
    const Received reported = client.recv(listening, 1024);
    story.claim(reported.error == ECONNREFUSED,
                {"With IP_RECVERR (Linux, ip(7)) an unconnected socket gets it as well.",
                 "设置 IP_RECVERR（Linux，见 ip(7)）之后，没有 connect 过的套接字也能得知。"});

    const Fd far = quiet_udp();
    const Fd other = quiet_udp();
    send_to(client, near, port_of(far), "from one");
    send_to(client, other, port_of(far), "from two");
    std::array<std::uint16_t, 2> from{};
    for (std::uint16_t& port : from) {
        char buffer[64];
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        const ssize_t got = ::recvfrom(far.get(), buffer, sizeof buffer, 0,
                                       reinterpret_cast<sockaddr*>(&peer), &size);
        port = ntohs(peer.sin_port);
        server.tell("recvfrom(" + std::to_string(far.get()) + ", buf, 64)",
                    std::to_string(got) + "  port " + std::to_string(port));
    }
    story.claim(
        from[0] == port_of(near) && from[1] == port_of(other),
        {"One socket serves all clients, without listen or accept: each datagram brings its "
         "sender's address.",
         "一个套接字就能服务所有客户，没有 listen 也没有 accept：每个数据报自带发送者的地址。"});
}

constexpr std::size_t kBlock = 512;
constexpr std::size_t kBlocks = 20000;

struct Measured {
    std::size_t sent = 0;     // Blocks that the kernel took.
    std::size_t arrived = 0;  // Bytes that the reader got.
    std::size_t dropped = 0;  // Datagrams that the kernel counted as dropped.
    double seconds = 0;       // From the first send until the reader had everything.
};

// Returns how many datagrams this socket's kernel buffer refused (SO_MEMINFO, Linux 4.12).
std::size_t drops_of(const Fd& fd) {
    std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
    socklen_t size = sizeof info;
    check(::getsockopt(fd.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &size), "SO_MEMINFO");
    return info[SK_MEMINFO_DROPS];
}

Measured measure_udp(int receive_buffer) {
    const Fd near = quiet_udp();
    const Fd far = quiet_udp();
    if (receive_buffer > 0) {
        check(
            ::setsockopt(far.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer),
            "SO_RCVBUF");
    }
    const sockaddr_in to = loopback(port_of(far));
    check(::connect(near.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
    Measured result;
    const std::string block(kBlock, 'x');
    const auto begin = std::chrono::steady_clock::now();
    std::thread sender([&] {
        for (std::size_t i = 0; i < kBlocks; ++i)
            result.sent += ::send(near.get(), block.data(), kBlock, MSG_NOSIGNAL) == kBlock;
    });
    std::string buffer(1024, '\0');
    std::size_t count = 0;
    // Every datagram is either read or counted as dropped, so the loop ends without a timeout.
    while (count + drops_of(far) < kBlocks && becomes_readable(far.get(), 200)) {
        ssize_t got = 0;
        while ((got = ::recv(far.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
            result.arrived += static_cast<std::size_t>(got);
            ++count;
        }
    }
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    sender.join();
    result.dropped = drops_of(far);
    return result;
}

Measured measure_tcp() {
    const Connection connection = quiet_connection();
    Measured result;
    const std::string block(kBlock, 'x');
    const auto begin = std::chrono::steady_clock::now();
    std::thread sender([&] {
        for (std::size_t i = 0; i < kBlocks; ++i)
            result.sent +=
                ::send(connection.client.get(), block.data(), kBlock, MSG_NOSIGNAL) == kBlock;
    });
    std::string buffer(64 * 1024, '\0');
    while (result.arrived < kBlocks * kBlock) {
        const ssize_t got = ::recv(connection.server.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) break;
        result.arrived += static_cast<std::size_t>(got);
    }
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    sender.join();
    return result;
}

void efficiency(Story& story) {
    story.heading({"Is UDP faster? Measured, with the loss", "UDP 更快吗？连同丢失一起测"});
    const Measured tcp = measure_tcp();
    const Measured udp = measure_udp(0);
    const Measured tight = measure_udp(4096);
    Table table;
    table.head = {{"20000 sends of 512 bytes", "发送 20000 次，每次 512 字节"},
                  {"time", "用时"},
                  {"arrived", "到达"},
                  {"dropped", "丢弃"}};
    const auto row = [&](const Text& name, const Measured& one) {
        char time[32];
        std::snprintf(time, sizeof time, "%.0f ms", one.seconds * 1000);
        table.rows.push_back({name, plain(time), plain(std::to_string(one.arrived / kBlock)),
                              plain(std::to_string(one.dropped))});
    };
    row(plain("TCP"), tcp);
    row({"UDP, the usual receive buffer", "UDP，默认接收缓冲区"}, udp);
    row({"UDP, SO_RCVBUF 4096", "UDP，SO_RCVBUF 4096"}, tight);
    story.tell(table);
    const auto is_accounted_for = [](const Measured& one) {
        return one.sent == kBlocks && one.arrived / kBlock + one.dropped == kBlocks;
    };
    story.claim(
        tcp.arrived == kBlocks * kBlock && is_accounted_for(udp) && is_accounted_for(tight),
        {"TCP delivered all {0} bytes. Every UDP send succeeded, and what did not arrive is in "
         "the kernel's count of drops. A time without the loss beside it compares nothing; TCP "
         "may even be faster here, because it puts many sends into one packet.",
         "TCP 送达全部 {0} 字节。UDP 的每次发送都“成功”，没到的都在内核的丢弃计数里。"
         "只比时间、不看丢失毫无意义；TCP 甚至可能更快，因为它把多次 send 装进一个报文。"},
        tcp.arrived);
}

}  // namespace

void lesson_udp(Story& story, unsigned) {
    boundaries(story);
    short_buffer(story);
    sizes(story);
    arrival(story);
    efficiency(story);
    no_connection(story);
    story.say(
        {"So UDP trades sticking for losing. A remote shell must not lose a byte: frsh takes "
         "TCP's order and arrival, and adds the boundaries itself.",
         "所以 UDP 是用“会丢”换“不粘”。远程执行命令一个字节都不能丢："
         "frsh 用 TCP 的有序和可靠，边界由自己补上。"});
    story.source("no-unit-limit",
                 {"What one message of frsh carries: chosen, not imposed by a packet.",
                  "frsh 一条消息能带多少：自己定的，不受报文大小限制。"});
    story.source("end-counts",
                 {"And arrival is checked: both sides count.", "是否到齐还要核对：两边都在计数。"});
}

}  // namespace frsh::demo
