// Lesson 9: the cures that are none, each failing on real sockets, and the one that holds.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"
#include "common/proto/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <time.h>

namespace frsh::demo {
namespace {

constexpr const char* kCureFirst = "echo one";
constexpr const char* kCureSecond = "echo two";
constexpr std::size_t kCureBoth = 16;
constexpr int kCureSilenceMs = 20;

Ribbon cured_ribbon(const Text& caption, std::size_t received) {
    return {caption,
            {{plain("send A"), kCureFirst, 0}, {plain("send B"), kCureSecond, 1}},
            {{plain("recv 1"), received}}};
}

void cure_sleep(Story& story) {
    story.heading({"Cure 1: sleep between two sends", "偏方一：两次 send 之间 sleep"});
    story.say(
        {"The sender pauses for 30 ms, so that the packets leave apart. The reader is busy "
         "with something else for longer than that.",
         "发送方停 30 毫秒，让两个报文分开走。可是接收方正忙，忙得比这更久。"});
    story.ask({"What does the reader's recv return?", "接收方的 recv 返回什么？"},
              {{"the first message", "第一条消息"}, {"both, joined", "两条连在一起"}}, 1,
              {"The pause separates packets. It cannot make the reader read in between.",
               "停顿只能分开报文，管不了接收方什么时候读。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, kCureFirst);
    const timespec pause{0, 30'000'000};  // The cure that is tried, not a way to wait.
    ::nanosleep(&pause, nullptr);
    client.send(connection.client, kCureSecond, 0, {"30 ms later", "30 毫秒之后"});
    wait_queued(connection.server.get(), kCureBoth);
    const Received got = server.recv(connection.server, 1024);
    story.tell(
        cured_ribbon({"Apart on the wire, together in the buffer", "线路上分开，缓冲区里连在一起"},
                     got.bytes.size()));
    story.claim(
        got.bytes.size() == kCureBoth && tcp_view(connection.client.get()).data_segments == 2,
        {"They left in 2 packets and one recv took both. sleep guesses how busy the other "
         "side is, and it makes every message slow.",
         "它们分成 2 个报文发出，一次 recv 全拿走了。sleep 是在猜对方忙不忙，"
         "还让每条消息都变慢。"});
}

void cure_larger_buffer(Story& story) {
    story.heading({"Cure 2: a larger recv", "偏方二：把 recv 的缓冲区加大"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, kCureFirst);
    client.send(connection.client, kCureSecond);
    wait_queued(connection.server.get(), kCureBoth);
    const Received got = server.recv(connection.server, 65536);
    story.tell(cured_ribbon({"Two messages, one recv", "两条消息，一次 recv"}, got.bytes.size()));
    story.claim(got.bytes.size() == kCureBoth,
                {"A buffer of 64 KiB took both messages: a larger buffer makes more of them stick. "
                 "And a message that is larger still is cut all the same (lesson split).",
                 "64 KiB 的缓冲区把两条都拿走了：缓冲区越大，粘得越多。"
                 "而更大的消息照样被切开（见 split 一课）。"});
}

void cure_until_silence(Story& story) {
    story.heading({"Cure 3: read until nothing comes", "偏方三：一直读到没有数据为止"});
    story.ask({"A command prints, thinks and prints again. What does the reader take for the "
               "whole answer?",
               "命令先输出一点，想一会儿，再输出。接收方会把什么当成全部结果？"},
              {{"all of it", "全部"}, {"the first part", "前一部分"}}, 1,
              {"Silence is not an end: the reader cannot tell thinking from ready.",
               "没有数据不等于结束：接收方分不清是在想还是已经完了。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    server.send(connection.server, "first part,");
    wait_queued(connection.client.get(), 11);
    const Received got = client.recv(connection.client, 1024);
    const bool more = becomes_readable(connection.client.get(), kCureSilenceMs);
    client.tell("poll(POLLIN, 20 ms)", more ? "1" : "0",
                {"silence: an end?", "没有数据：结束了？"});
    server.send(connection.server, " second part");
    const bool late = wait_queued(connection.client.get(), 12);
    story.tell(
        Ribbon{{"The answer, and what was taken for it", "完整的结果，以及被当成结果的部分"},
               {{{"part 1", "前半"}, "first part,", 0}, {{"part 2", "后半"}, " second part", 1}},
               {{plain("recv 1"), got.bytes.size()},
                {{"left", "剩余"}, queued(connection.client.get()), Take::Kind::Waiting}}});
    story.claim(!more && late && got.bytes == "first part,",
                {"After 20 ms of silence the reader went on, with half of the answer; the other "
                 "half is now in front of the next one. Waiting longer is slower and no safer.",
                 "安静了 20 毫秒，接收方就拿着半个结果走了；另一半排到了下一条结果的前面。"
                 "等得更久只是更慢，并不更可靠。"});
}

std::size_t count_lines(std::string_view stream) {
    return static_cast<std::size_t>(std::count(stream.begin(), stream.end(), '\n'));
}

void cure_newline(Story& story) {
    story.heading({"Cure 4: a newline as the end", "偏方四：用换行符当结尾"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, "echo one\n");
    client.send(connection.client, "printf 'a\nb'\n");
    wait_queued(connection.server.get(), 22);
    const Received got = server.recv(connection.server, 1024);
    const std::size_t lines = count_lines(got.bytes);
    story.tell(Ribbon{{"What the reader takes for lines", "接收方当成行的部分"},
                      {{plain("A"), "echo one\n", 0}, {plain("B"), "printf 'a\nb'\n", 1}},
                      {{{"line 1", "第 1 行"}, 9},
                       {{"line 2", "第 2 行"}, 10},
                       {{"line 3", "第 3 行"}, got.bytes.size() - 19}}});
    story.claim(lines == 3,
                {"Two messages became {0} lines: the second has a newline in it. A delimiter works "
                 "only if it is escaped in the data, and then each byte must be looked at.",
                 "两条消息变成了 {0} 行：第二条里本来就有换行。分隔符必须在数据里转义才可靠，"
                 "而那样每个字节都得检查。"},
                lines);
}

// Draws each frame as its length, its header and its payload.
Ribbon stream_ribbon(const std::vector<std::string>& messages) {
    Ribbon ribbon{{"Three frames: length, header, data", "三帧：长度、报头、数据"}, {}, {}};
    std::size_t colour = 0;
    for (const std::string& message : messages) {
        std::string frame;
        append_frame(frame, R"({"len":)" + std::to_string(message.size()) + "}", message);
        const std::size_t head = frame.size() - message.size();
        ribbon.pieces.push_back({{"length", "长度"}, frame.substr(0, 4), colour});
        ribbon.pieces.push_back({{"header", "报头"}, frame.substr(4, head - 4), colour});
        if (!message.empty()) ribbon.pieces.push_back({{"data", "数据"}, message, colour + 3});
        ribbon.takes.push_back({{"message", "消息"}, frame.size()});
        ++colour;
    }
    return ribbon;
}

void cure_length(Story& story) {
    story.heading({"What holds: the length in front", "真正的解法：先写长度"});
    const std::vector<std::string> messages = {kCureFirst, "printf 'a\nb'", ""};
    Actor client(story, Side::Client);
    const Connection connection = quiet_connection();
    std::string stream;
    for (const std::string& message : messages)
        append_frame(stream, R"({"len":)" + std::to_string(message.size()) + "}", message);
    check(::send(connection.client.get(), stream.data(), stream.size(), MSG_NOSIGNAL), "send");
    client.tell("send(" + std::to_string(connection.client.get()) + ", three frames)",
                std::to_string(stream.size()));
    FrameDecoder decoder;
    std::vector<std::string> got;
    while (got.size() < messages.size()) {
        char byte = 0;
        if (::recv(connection.server.get(), &byte, 1, 0) != 1) break;
        decoder.feed({&byte, 1});
        while (const auto frame = decoder.next())
            got.emplace_back(frame->payload);
    }
    story.tell(stream_ribbon(messages));
    story.claim(got == messages,
                {"Three messages sent in one piece and read one byte at a time: {0} came out, the "
                 "one with a newline and the empty one as well. No pause, no guess.",
                 "三条消息一次发出，一次只读一个字节：{0} 条都完整，带换行的、空的也不例外。"
                 "不用停顿，不用猜。"},
                got.size());
}

}  // namespace

void lesson_cures(Story& story, unsigned) {
    cure_sleep(story);
    cure_larger_buffer(story);
    cure_until_silence(story);
    cure_newline(story);
    cure_length(story);
    story.source("frame-append", {"How frsh writes the length.", "frsh 怎样写长度。"});
    story.source("frame-next", {"How it takes frames out of a stream.", "怎样从流里取出一帧。"});
}

}  // namespace frsh::demo
