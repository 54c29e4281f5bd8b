#include "client/demo/lessons/wire.hpp"

#include "common/base/error.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kWireLength = 4;
constexpr std::size_t kBytesEach = 192;  // Bytes of one ribbon: three rows on a terminal.
constexpr std::size_t kMostRibbons = 12;
constexpr std::size_t kMostBytes = 1 << 20;  // Bytes of one frame that are kept.

// Takes the next line without its newline.
std::string_view take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

// Puts the bytes of a line of hex_dump() where they belong. Its offset counts from the stream.
void put_dump(WireFrame& frame, std::string_view line) {
    char* end = nullptr;
    const std::string copy(line.substr(0, std::min(line.find('|'), line.size())));
    const std::size_t offset = std::strtoul(copy.c_str(), &end, 16);
    if (end != copy.c_str() + 8 || offset < frame.begin) return;
    for (std::size_t at = offset - frame.begin; at < frame.bytes.size(); ++at) {
        while (*end == ' ')
            ++end;
        char* after = nullptr;
        const unsigned long byte = std::strtoul(end, &after, 16);
        if (after != end + 2) return;
        frame.bytes[at] = static_cast<char>(byte);
        frame.known = std::max(frame.known, at + 1);
        end = after;
    }
}

void put_part(WireFrame& frame, std::string_view line) {
    constexpr std::string_view kHeader = "header    ";
    if (line.starts_with(kHeader)) {
        line.remove_prefix(kHeader.size());
        if (frame.bytes.size() >= kWireLength + line.size())
            line.copy(frame.bytes.data() + kWireLength, line.size());
        frame.known = std::max(frame.known, std::min(frame.size, kWireLength + line.size()));
        return;
    }
    put_dump(frame, line);
}

std::string read_log(const std::string& file) {
    const Fd opened = file == "-" ? Fd(check(::dup(STDIN_FILENO), "stdin"))
                                  : Fd(check(::open(file.c_str(), O_RDONLY | O_CLOEXEC), file));
    std::string text;
    char buffer[64 * 1024];
    for (;;) {
        const IoResult got = read_some(opened.get(), buffer, sizeof buffer);
        if (got.status != IoResult::Status::Done) return text;
        text.append(buffer, got.bytes);
    }
}

// Returns the frame after the last one of the ribbon that begins with `first`: as many as are drawn
// byte for byte, and at least one.
std::size_t end_of_ribbon(const WireStream& stream, std::size_t first) {
    std::size_t last = first + 1;
    std::size_t bytes = stream.frames[first].size;
    while (last < stream.frames.size() && bytes + stream.frames[last].size <= kBytesEach)
        bytes += stream.frames[last++].size;
    return last;
}

// Returns the frames [first, last) and the parts of the calls that moved them. A frame that is too
// long is drawn as far as the log has its bytes.
Ribbon wire_ribbon(const WireStream& stream, const char* call, std::size_t first,
                   std::size_t last) {
    const WireFrame& head = stream.frames[first];
    const bool is_cut = last == first + 1 && head.size > kBytesEach;
    const std::size_t begin = head.begin;
    const std::size_t end = is_cut ? begin + std::min(head.known, kBytesEach)
                                   : stream.frames[last - 1].begin + stream.frames[last - 1].size;
    const Text caption =
        is_cut
            ? fill(
                  {"From byte {0} on, the first {1} of {2} bytes: frames above, calls of {3} below",
                   "从第 {0} 字节起，{2} 字节中的前 {1} 个：上面是帧，下面是 {3} 的调用"},
                  begin, end - begin, head.size, call)
            : fill({"From byte {0} on, {1} bytes: frames above, calls of {2} below",
                    "从第 {0} 字节起，{1} 字节：上面是帧，下面是 {2} 的调用"},
                   begin, end - begin, call);
    Ribbon ribbon{caption, {}, {}};
    for (std::size_t i = first; i < last; ++i) {
        const WireFrame& frame = stream.frames[i];
        ribbon.pieces.push_back({plain(frame.type + " " + std::to_string(i + 1)),
                                 frame.bytes.substr(0, end - begin), i - first});
    }
    for (const WireCall& one : stream.calls) {
        const std::size_t from = std::max(one.begin, begin);
        const std::size_t to = std::min(one.end, end);
        if (from < to)
            ribbon.takes.push_back(
                {plain(std::string(call) + " " + std::to_string(one.number)), to - from});
    }
    return ribbon;
}

void show_stream(Story& story, const WireStream& stream, const char* call) {
    if (stream.frames.empty()) return;
    std::size_t shown = 0;
    for (std::size_t i = 0; i < kMostRibbons && shown < stream.frames.size(); ++i) {
        const std::size_t last = end_of_ribbon(stream, shown);
        story.tell(wire_ribbon(stream, call, shown, last));
        shown = last;
    }
    if (shown < stream.frames.size()) {
        story.say({"{0} more frames are not drawn.", "还有 {0} 帧没有画出来。"},
                  stream.frames.size() - shown);
    }
    std::size_t bytes = 0;
    std::size_t cut = 0;
    bool is_whole = true;
    for (const WireFrame& frame : stream.frames) {
        is_whole = is_whole && frame.begin == bytes;
        bytes += frame.size;
        cut += std::any_of(stream.calls.begin(), stream.calls.end(), [&](const WireCall& one) {
            return one.end > frame.begin && one.end < frame.begin + frame.size;
        });
    }
    const std::size_t moved = stream.calls.empty() ? 0 : stream.calls.back().end;
    story.claim(is_whole && moved >= bytes,
                {"{0} frames, {1} bytes, moved by {2} calls of {3}; {4} of the frames were cut by "
                 "a call's end. The length in front put each together again.",
                 "{0} 帧，{1} 字节，由 {2} 次 {3} 传送；其中 {4} 帧被某次调用的边界切开，"
                 "靠前面的长度又拼成了整帧。"},
                stream.frames.size(), bytes, stream.calls.size(), call, cut);
}

}  // namespace

WireText parse_wire(std::string_view text) {
    WireText parsed;
    WireFrame* current = nullptr;
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        const bool is_read = line.starts_with("<- ");
        if (!is_read && !line.starts_with("-> ")) {
            const std::size_t begin = line.find_first_not_of(' ');
            if (current != nullptr && begin != std::string_view::npos && begin > 0)
                put_part(*current, line.substr(begin));
            continue;
        }
        current = nullptr;
        WireStream& stream = is_read ? parsed.read : parsed.written;
        const std::string copy(line.substr(3));
        std::size_t number = 0;
        std::size_t size = 0;
        std::size_t begin = 0;
        char type[64] = {};
        if (std::sscanf(copy.c_str(), "frame %zu: %63[^,], %zu bytes from %zu:", &number, type,
                        &size, &begin) == 4) {
            const std::size_t kept = std::min(size, kMostBytes);
            stream.frames.push_back({type, begin, size, std::string(kept, '\0'), 0});
            current = &stream.frames.back();
        } else if (std::sscanf(copy.c_str(), "%*[a-z] %zu: %zu %*[a-z], %zu to", &number, &size,
                               &begin) == 3) {
            stream.calls.push_back({number, begin, begin + size});
        }
    }
    return parsed;
}

void lesson_wire(Story& story, const std::string& file) {
    const WireText wire = parse_wire(read_log(file));
    if (wire.read.frames.empty() && wire.written.frames.empty())
        throw UserError(file + ": no frame in it; write it with frsh --wire FILE HOST COMMAND");
    story.heading({"What frsh sent", "frsh 发送的"});
    show_stream(story, wire.written, "send");
    story.heading({"What frsh received", "frsh 收到的"});
    show_stream(story, wire.read, "recv");
    story.source("frame-append", {"How each frame is written.", "每一帧是这样写出来的。"});
    story.source("frame-next", {"How it is taken out of the stream.", "又是这样从流里取出来的。"});
}

}  // namespace frsh::demo
