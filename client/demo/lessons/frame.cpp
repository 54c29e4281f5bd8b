// Lesson 6: the cure. The commands of lesson 4 with frames, however the bytes are cut.
#include "common/proto/frame.hpp"

#include "client/demo/lessons/lessons.hpp"
#include "client/demo/lessons/naive_shell.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "client/demo/stage/loopback_tap.hpp"
#include "common/base/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::array kCommands = {"seq 1 20", "echo hello", "true", "echo oneecho two"};

std::string answer_frame(const Ran& ran) {
    JsonObject header;
    header.add_text("type", "answer");
    header.add_whole("code", static_cast<std::uint64_t>(ran.code));
    if (!ran.output.empty()) header.add_whole("len", ran.output.size());
    std::string frame;
    append_frame(frame, header.dump(), ran.output);
    return frame;
}

std::string command_frame(const std::string& command) {
    std::string frame;
    append_frame(frame, R"({"type":"run","len":)" + std::to_string(command.size()) + "}", command);
    return frame;
}

void show_frame(Story& story) {
    story.heading({"Say the length first", "先说长度"});
    story.say(
        {"A message's end can be marked in several ways: a fixed size (wasteful), a delimiter "
         "such as a newline (which messages must not contain, or must escape), closing the "
         "connection (one message only), or the length in front. frsh sends: 4 bytes with the "
         "length of a header, the header in JSON, which says how long the payload is, and the "
         "payload as it is.",
         "标明消息边界有好几种办法：固定长度（浪费）；分隔符如换行（消息里不能出现，或者要转义）；"
         "关闭连接（只能发一条）；在前面写明长度（长度前缀）。frsh 的一帧是：4 字节的报头长度；"
         "JSON 报头，其中写明数据有多长；然后是原样的数据。"});
    const std::string frame = command_frame("echo hello");
    const std::size_t header = frame.size() - 4 - 10;
    Ribbon ribbon{fill({"One frame of {0} bytes, sent and received one byte at a time",
                        "一帧，共 {0} 字节，一次只发、只收一个字节"},
                       frame.size()),
                  {{{"length", "长度"}, frame.substr(0, 4), 4},
                   {{"header", "报头"}, frame.substr(4, header), 1},
                   {{"payload", "数据"}, frame.substr(4 + header), 2}},
                  {}};
    const Connection connection = quiet_connection();
    story.watch(connection.client.get());
    FrameDecoder decoder;
    std::size_t whole_at = 0;
    std::string payload;
    for (const char byte : frame) {
        story.sent(connection.client.get(), 1, capture_clock());
        check(::send(connection.client.get(), &byte, 1, MSG_NOSIGNAL), "send");
        char got = 0;
        check(::recv(connection.server.get(), &got, 1, 0), "recv");
        story.received(connection.server.get(), 1, capture_clock());
        ribbon.takes.push_back({plain("recv " + std::to_string(ribbon.takes.size() + 1)), 1});
        decoder.feed({&got, 1});
        if (const auto read = decoder.next()) {
            whole_at = ribbon.takes.size();
            payload = read->payload;
        }
    }
    story.tell(ribbon);
    char length[16];
    std::snprintf(length, sizeof length, "%02x", static_cast<unsigned char>(frame[3]));
    story.claim(
        frame[3] == static_cast<char>(header) && whole_at == frame.size() &&
            payload == "echo hello",
        {"The four bytes are 00 00 00 {0}, the most significant first: a header of {1} bytes. "
         "frsh's decoder said \"not yet\" {2} times and gave out the frame at its last byte.",
         "这四个字节是 00 00 00 {0}（大端，即网络字节序）：报头 {1} 字节。"
         "frsh 的解码器说了 {2} 次“还不够”，在最后一个字节到达时交出整帧。"},
        length, header, frame.size() - 1);
}

enum class Cutting { Bytes, Glued, Random };

struct Fed {
    std::size_t sends = 0;
    std::size_t recvs = 0;
    std::size_t bytes = 0;
    std::vector<std::string> payloads;
    std::vector<std::size_t> recv_sizes;
};

// Sends a stream in pieces of the sizes that `next_size` returns. Reads after every piece, or once
// at the end. Returns all frames that were decoded.
Fed push_frames(std::string_view stream, Cutting cutting, std::mt19937& random) {
    const Connection connection = quiet_connection();
    const int on = 1;
    ::setsockopt(connection.client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::uniform_int_distribution<std::size_t> sizes(1, 40);
    Fed fed;
    FrameDecoder decoder;
    fed.bytes = stream.size();
    while (!stream.empty()) {
        const std::size_t size = cutting == Cutting::Bytes ? 1
                                 : cutting == Cutting::Glued
                                     ? stream.size()
                                     : std::min(sizes(random), stream.size());
        check(::send(connection.client.get(), stream.data(), size, MSG_NOSIGNAL), "send");
        ++fed.sends;
        stream.remove_prefix(size);
        wait_queued(connection.server.get(), size);
        // The reader leaves a random part for the next turn.
        std::size_t left = cutting == Cutting::Random && !stream.empty() ? sizes(random) : 0;
        while (queued(connection.server.get()) > left) {
            char buffer[64 * 1024];
            const std::size_t want = cutting == Cutting::Random ? sizes(random) : sizeof buffer;
            const ssize_t got = check(::recv(connection.server.get(), buffer, want, 0), "recv");
            ++fed.recvs;
            fed.recv_sizes.push_back(static_cast<std::size_t>(got));
            decoder.feed({buffer, static_cast<std::size_t>(got)});
            while (const auto frame = decoder.next())
                fed.payloads.emplace_back(frame->payload);
        }
    }
    return fed;
}

void cut_every_way(Story& story, unsigned seed) {
    story.heading({"The naive shell's commands, cut every way", "同样的命令，随便怎么切"});
    story.ask(
        {"The reader gets the frames one byte at a time. How many of the four answers come out "
         "whole?",
         "一次只收一个字节，四条结果有几条是完整的？"},
        {{"none", "没有"}, {"all but the empty one", "除了空的那条"}, {"all four", "四条全部"}}, 2,
        {"The length says where each ends, and a payload of 0 bytes is a message as well.",
         "长度说明了每条到哪里为止；0 字节的数据也是一条消息。"});
    std::vector<std::string> expected;
    std::vector<std::string> frames;
    std::string stream;
    for (const char* const command : kCommands) {
        const Ran ran = run_command(command);
        frames.push_back(answer_frame(ran));
        stream += frames.back();
        expected.push_back(ran.output);
    }
    story.say({"Four commands are run for real: seq 1 20, echo hello, true (prints nothing), and "
               "one more. Their answers, as frames, go through a TCP connection three times: one "
               "byte at a time, glued into one send, and cut at random (seed {0}).",
               "真正执行四条命令：seq 1 20、echo hello、true（没有输出）等等。"
               "把它们的结果装成帧，在 TCP 连接上传三遍：一次一个字节；全部粘成一次 send；"
               "随机切（种子 {0}）。"},
              seed);
    std::mt19937 random(seed);
    Table table;
    table.head = {
        {"how", "切法"}, {"bytes", "字节"}, plain("send"), plain("recv"), {"answers", "完整结果"}};
    const std::array<Text, 3> names = {Text{"one byte at a time", "一次一个字节"},
                                       Text{"glued together", "全部粘在一起"},
                                       Text{"cut at random", "随机切"}};
    std::vector<Fed> all;
    for (const Cutting cutting : {Cutting::Bytes, Cutting::Glued, Cutting::Random}) {
        all.push_back(push_frames(stream, cutting, random));
        const Fed& fed = all.back();
        const auto right = [&] {
            std::size_t count = 0;
            for (std::size_t i = 0; i < fed.payloads.size() && i < expected.size(); ++i)
                count += fed.payloads[i] == expected[i] ? 1 : 0;
            return count;
        }();
        table.rows.push_back(
            {names[static_cast<std::size_t>(cutting)], plain(std::to_string(fed.bytes)),
             plain(std::to_string(fed.sends)), plain(std::to_string(fed.recvs)),
             plain(std::to_string(right) + " / " + std::to_string(expected.size()))});
    }
    story.tell(table);
    Ribbon ribbon{{"The stream cut at random: the recvs know nothing of the answers",
                   "随机切的那一遍：recv 的边界与结果的边界毫无关系"},
                  {},
                  {}};
    for (std::size_t i = 0; i < frames.size(); ++i)
        ribbon.pieces.push_back({fill({"answer {0}", "结果 {0}"}, i + 1), frames[i], i});
    for (std::size_t i = 0; i < all[2].recv_sizes.size(); ++i)
        ribbon.takes.push_back({plain("recv " + std::to_string(i + 1)), all[2].recv_sizes[i]});
    story.tell(ribbon);
    const bool whole =
        all[0].payloads == expected && all[1].payloads == expected && all[2].payloads == expected;
    story.claim(
        whole && all[0].recvs == stream.size(),
        {"Every answer came out whole, all three times, the empty one included: a frame with "
         "a payload of 0 bytes is a message, where a send of 0 bytes was nothing.",
         "三遍下来，每条结果都完整，连空的也是：数据为 0 字节的一帧仍是一条消息，"
         "而 send 0 个字节什么都不是。"});
}

void hostile_length(Story& story) {
    story.heading({"A length must be judged, too", "长度本身也要检查"});
    story.ask({"A browser sends its GET to the port. What is the length?",
               "浏览器把 GET 发到这个端口，“长度”是多少？"},
              {{"about 1.2 thousand million", "大约 12 亿"}, {"3", "3"}, {"0", "0"}}, 0,
              {"The letters G, E, T and a space are four bytes like any other.",
               "G、E、T 和空格就是四个普通的字节。"});
    FrameDecoder decoder;
    std::string problem;
    decoder.feed("GET / HTTP/1.1\r\n");
    try {
        static_cast<void>(decoder.next());
    } catch (const ProtocolError& error) {
        problem = error.what();
    }
    story.claim(
        problem.find("1195725856") != std::string::npos,
        {"A browser that knocks by mistake says \"GET \", and those four bytes read as a "
         "length of 1195725856. frsh's decoder refuses it at once, without waiting for a byte "
         "more: {0}.",
         "浏览器误连过来，会说“GET ”，这四个字节当作长度就是 1195725856。"
         "frsh 的解码器立刻拒绝，一个字节也不多等：{0}。"},
        problem);
}

}  // namespace

void lesson_frame(Story& story, unsigned seed) {
    show_frame(story);
    frame_byte_order(story);
    cut_every_way(story, seed);
    hostile_length(story);
    frame_file(story);
    story.source("frame-next", {"The cure, in one function of thirty lines.",
                                "全部解法，就在这一个三十行的函数里。"});
    story.source("frame-judge", {"Where a length is judged.", "检查长度的地方。"});
}

}  // namespace frsh::demo
