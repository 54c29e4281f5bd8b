// Lesson 3: one send arrives in many recvs, and even the four length bytes may be cut.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/proto/frame.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

void small_buffer(Story& story) {
    story.heading({"A reader with a small buffer", "接收方的缓冲区太小"});
    story.ask({"26 bytes have arrived. What do three calls of recv(10) return?",
               "到了 26 个字节，三次 recv(10) 各返回多少？"},
              {{"10, and the rest is lost", "10，剩下的丢了"},
               {"10, 10, 6", "10、10、6"},
               {"26, -1, -1", "26、-1、-1"}},
              1, {"The kernel keeps what was not taken, in order.", "没取走的内核按顺序留着。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    const std::string alphabet = "abcdefghijklmnopqrstuvwxyz";
    client.send(connection.client, alphabet);
    wait_queued(connection.server.get(), alphabet.size());
    Ribbon ribbon{{"One send, and who got what", "一次 send，每次 recv 各拿到哪一段"},
                  {{plain("send A"), alphabet, 0}},
                  {}};
    std::string got;
    for (int i = 1; i <= 3; ++i) {
        const Received part = server.recv(connection.server, 10);
        ribbon.takes.push_back({plain("recv " + std::to_string(i)), part.bytes.size()});
        got += part.bytes;
    }
    story.tell(ribbon);
    const auto size = [&](std::size_t i) { return ribbon.takes[i].size; };
    story.claim(
        size(0) == 10 && size(1) == 10 && size(2) == 6 && got == alphabet,
        {"recv(fd, buf, 10) takes at most 10 bytes. What the reader left stays in the kernel, "
         "in order, and is what it gets next time: 10 + 10 + 6, nothing lost.",
         "recv(fd, buf, 10) 最多取 10 个字节。没取走的留在内核里，顺序不变，下次 recv 先拿到它们："
         "10 + 10 + 6，一个字节也没有丢。这就是半包。"});
}

constexpr std::size_t kReaderBuffer = 4 * 1024 * 1024;

struct Flow {
    std::size_t first_send = 0;
    std::size_t would_block = 0;  // Sends that returned -1 with EAGAIN.
    std::vector<std::size_t> sends;
    std::vector<std::size_t> recvs;
    std::string got;
};

// Runs a sender that never blocks, and a reader that reads when the sender gets EAGAIN.
Flow push_through(const Connection& connection, std::string_view all) {
    Flow flow;
    std::string buffer(kReaderBuffer, '\0');
    std::string_view rest = all;
    while (flow.got.size() < all.size()) {
        while (!rest.empty()) {
            const ssize_t put = ::send(connection.client.get(), rest.data(), rest.size(),
                                       MSG_DONTWAIT | MSG_NOSIGNAL);
            if (put == -1 && errno == EAGAIN) ++flow.would_block;
            if (put <= 0) break;
            flow.sends.push_back(static_cast<std::size_t>(put));
            rest.remove_prefix(static_cast<std::size_t>(put));
        }
        // Blocks for the first byte, at most three seconds (see set_timeout).
        const ssize_t got = ::recv(connection.server.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) break;
        flow.recvs.push_back(static_cast<std::size_t>(got));
        flow.got.append(buffer, 0, static_cast<std::size_t>(got));
    }
    if (!flow.sends.empty()) flow.first_send = flow.sends.front();
    return flow;
}

void large_message(Story& story) {
    story.heading({"A large message, with room enough in the reader's buffer",
                   "一条大消息，这回接收方的缓冲区足够大"});
    story.say(
        {"Now 1 MiB with TCP_NODELAY set, to a reader that asks for 4 MiB each time. The "
         "kernel's buffers in between are smaller than the message.",
         "现在发送 1 MiB（已设置 TCP_NODELAY），接收方每次都要 4 MiB。"
         "可是中间内核的缓冲区装不下整条消息。"});
    const Connection connection = quiet_connection();
    Actor client(story, Side::Client);
    client.set_option(connection.client, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    client.set_option(connection.client, SOL_SOCKET, SO_SNDBUF, 65536, "SO_SNDBUF");
    std::string all(1024 * 1024, 'A');
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<char>('A' + i % 23);
    const Flow flow = push_through(connection, all);
    client.tell("send(" + std::to_string(connection.client.get()) + ", all, 1048576, MSG_DONTWAIT)",
                std::to_string(flow.first_send),
                {"a short write: the rest must be sent again", "短写：剩下的要自己接着发"});
    Ribbon ribbon{
        fill({"{0} sends and {1} recvs for one message", "一条消息：{0} 次 send，{1} 次 recv"},
             flow.sends.size(), flow.recvs.size()),
        {},
        {}};
    std::size_t at = 0;
    for (std::size_t i = 0; i < flow.sends.size(); ++i) {
        ribbon.pieces.push_back({plain(std::string("send ") + static_cast<char>('A' + i % 26)),
                                 all.substr(at, flow.sends[i]), i});
        at += flow.sends[i];
    }
    for (std::size_t i = 0; i < flow.recvs.size(); ++i)
        ribbon.takes.push_back({plain("recv " + std::to_string(i + 1)), flow.recvs[i]});
    story.tell(ribbon);
    story.claim(
        flow.first_send > 0 && flow.first_send < all.size() && flow.would_block > 0,
        {"The first send was given 1048576 bytes and took {0}. The buffer was found full this "
         "often: {1} (-1 EAGAIN). A program that ignores what send returns loses the rest.",
         "第一次 send 要发 1048576 字节，内核只收下 {0}；遇到缓冲区已满的 send 有 {1} 次："
         "-1 EAGAIN。程序不看 send 的返回值，就会丢掉后面的数据。"},
        flow.first_send, flow.would_block);
    const std::uint32_t packets = tcp_view(connection.client.get()).data_segments;
    story.claim(packets > 1,
                {"The kernel cut them into {0} packets, by sizes of its own: again three numbers, "
                 "of sends, packets and recvs.",
                 "内核按自己的大小把它们切成了 {0} 个报文：send、报文、recv 又是三个不同的数。"},
                packets);
    story.claim(flow.recvs.size() > 1 && flow.got == all,
                {"It took {0} recvs, of sizes nobody chose, and joined together they are the "
                 "message, byte for byte. One recv is hardly ever one message.",
                 "一共用了 {0} 次 recv，每次多大谁也没规定；拼起来正好是原来的消息，一个字节不差。"
                 "“一次 recv 就是一条消息”几乎从来不成立。"},
                flow.recvs.size());
}

// Sends the same message with one send without MSG_DONTWAIT, while another thread reads.
void blocking_send(Story& story) {
    story.stop_watching();
    const Connection connection = quiet_connection();
    story.watch(connection.client.get());
    Actor client(story, Side::Client);
    const int small = 65536;
    ::setsockopt(connection.client.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const std::string all(1024 * 1024, 'A');
    std::size_t recvs = 0;
    std::size_t read = 0;
    std::thread reader([&] {
        std::string buffer(kReaderBuffer, '\0');
        while (read < all.size()) {
            const ssize_t got = ::recv(connection.server.get(), buffer.data(), buffer.size(), 0);
            if (got <= 0) break;
            read += static_cast<std::size_t>(got);
            ++recvs;
        }
    });
    const ssize_t put = ::send(connection.client.get(), all.data(), all.size(), MSG_NOSIGNAL);
    reader.join();
    client.tell("send(" + std::to_string(connection.client.get()) + ", all, 1048576, 0)",
                std::to_string(put), {"a blocking socket: it waits", "阻塞套接字：它会等待"});
    story.claim(
        put == static_cast<ssize_t>(all.size()) && read == all.size() && recvs > 1,
        {"A blocking send waits until the kernel has taken everything: it returned {0}, "
         "and the reader still needed {1} recvs. A signal or a timeout can cut a blocking "
         "send short, too; Python's sendall repeats send until nothing is left.",
         "阻塞的 send 会一直等到内核全部收下：返回 {0}，而接收方仍然用了 {1} 次 recv。"
         "信号或超时也会让阻塞的 send 只发一部分；Python 的 sendall 会反复 send 直到发完。"},
        put, recvs);
}

void split_length(Story& story) {
    story.heading({"Even the four length bytes are cut", "连 4 个字节的长度也会被切开"});
    story.say(
        {"A frame of frsh begins with four bytes that say how long its header is. They are "
         "bytes like any other.",
         "frsh 的一帧以 4 个字节开头，说明报头有多长。它们和别的字节没有任何区别，也会被切开。"});
    story.ask(
        {"Two of the four length bytes have arrived. What does recv(fd, buf, 4) return?",
         "4 个长度字节只到了 2 个，recv(fd, buf, 4) 返回什么？"},
        {{"2", "2"}, {"4, after it has waited", "等一等，然后返回 4"}, {"-1 EAGAIN", "-1 EAGAIN"}},
        0,
        {"A blocking recv waits for the first byte only, unless MSG_WAITALL is given.",
         "阻塞的 recv 只等第一个字节（除非用 MSG_WAITALL）。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.set_option(connection.client, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    std::string frame;
    append_frame(frame, R"({"type":"run","len":6})", "whoami");
    const std::string_view bytes = frame;

    client.send(connection.client, bytes.substr(0, 2));
    wait_queued(connection.server.get(), 2);
    const Received first =
        server.recv(connection.server, 4, 0, {"asked for 4, got 2", "要 4 个，只得到 2 个"});
    FrameDecoder decoder;
    decoder.feed(first.bytes);
    const bool early = decoder.next().has_value();
    client.send(connection.client, bytes.substr(2));
    wait_queued(connection.server.get(), frame.size() - 2);
    const Received rest = server.recv(connection.server, 1024);
    decoder.feed(rest.bytes);
    const auto whole = decoder.next();
    story.tell(
        Ribbon{{"The frame, and where the two recvs cut it", "这一帧，以及两次 recv 的切口"},
               {{{"length", "长度"}, frame.substr(0, 4), 4},
                {{"header", "报头"}, frame.substr(4, frame.size() - 10), 1},
                {{"payload", "数据"}, frame.substr(frame.size() - 6), 2}},
               {{plain("recv 1"), first.bytes.size()}, {plain("recv 2"), rest.bytes.size()}}});
    story.claim(
        first.bytes.size() == 2,
        {"recv(fd, buf, 4) returned 2. Code that now decodes four bytes reads two that are "
         "not there: this mistake works for years on a quiet network.",
         "recv(fd, buf, 4) 返回了 2。如果代码此时就去解 4 字节的长度，就读到了并不存在的两个字节。"
         "这种错误在空闲的网络上可以潜伏很多年。"});
    story.claim(
        !early && whole && whole->payload == "whoami",
        {"frsh's decoder said \"not yet\" to the two bytes, kept them, and gave out the frame "
         "when it was whole.",
         "frsh 的解码器对这两个字节说“还不够”，把它们留着，等到整帧到齐才交出来。"});
}

}  // namespace

void lesson_split(Story& story, unsigned) {
    small_buffer(story);
    large_message(story);
    blocking_send(story);
    split_length(story);
    story.source("frame-short",
                 {"\"Not yet\" for the four length bytes.", "对 4 字节长度说“还不够”。"});
    story.source("link-short-write",
                 {"A short write: remember how far it went.", "短写：记住写到了哪里。"});
}

}  // namespace frsh::demo
