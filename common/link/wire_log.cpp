#include "common/link/wire_log.hpp"

#include "common/base/error.hpp"
#include "common/base/hex.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/proto/frame.hpp"

#include <algorithm>
#include <system_error>

namespace frsh {
namespace {

constexpr std::size_t kLengthSize = 4;
constexpr std::size_t kShownPayload = 64;
constexpr std::string_view kIndent = "     ";

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

std::string bytes_text(std::uint64_t count) {
    return number(count) + (count == 1 ? " byte" : " bytes");
}

void add_line(std::string& out, std::string_view text) {
    out += kIndent;
    out += text;
    out += '\n';
}

}  // namespace

WireLog::~WireLog() {
    for (const Direction* const way : {&read_, &written_}) {
        if (way->waiting.empty() || way->lost) continue;
        show(std::string(way->arrow) + " cut off: " + bytes_text(way->waiting.size()) +
             " of frame " + number(way->frames + 1) + ", which never became whole\n");
    }
}

void WireLog::show(const std::string& lines) {
    if (!out_) return;
    try {
        out_(lines);
    } catch (const std::system_error& error) {
        log::error(std::string("wire log: ") + error.what());
        out_ = nullptr;
    }
}

std::size_t WireLog::whole_frame(const Direction& way, std::size_t& header_size,
                                 std::string& type) {
    const std::string_view waiting = way.waiting;
    if (waiting.size() < kLengthSize) return 0;
    header_size = 0;
    for (std::size_t i = 0; i < kLengthSize; ++i)
        header_size = header_size << 8 | static_cast<unsigned char>(waiting[i]);
    if (header_size == 0 || header_size > kFrameLimits.header) {
        throw ProtocolError("a header of " + bytes_text(header_size));
    }
    if (waiting.size() < kLengthSize + header_size) return 0;
    const JsonObject header = JsonObject::parse(waiting.substr(kLengthSize, header_size));
    const std::uint64_t payload = header.maybe_whole("len", kFrameLimits.payload).value_or(0);
    type = header.find_text("type").value_or("(no type)");
    const std::size_t size = kLengthSize + header_size + static_cast<std::size_t>(payload);
    return waiting.size() < size ? 0 : size;
}

std::string WireLog::describe_frame(Direction& way, std::size_t size, std::size_t header_size,
                                    const std::string& type) {
    const std::uint64_t begin = way.begin;
    const std::uint64_t end = begin + size;
    std::string out = std::string(way.arrow) + " frame " + number(++way.frames) + ": " +
                      escape_controls(type) + ", " + bytes_text(size) + " from " + number(begin) +
                      ":";
    // List which call moved which piece of the frame.
    const char* separator = " ";
    for (const Call& call : way.recent) {
        const std::uint64_t from = std::max(call.begin, begin);
        const std::uint64_t to = std::min(call.end, end);
        if (from >= to) continue;
        out += separator + std::string(way.call) + " " + number(call.number) + " (" +
               number(to - from) + ")";
        separator = ", ";
    }
    out += '\n';
    const std::string_view frame = std::string_view(way.waiting).substr(0, size);
    const std::string length = hex_dump(frame.substr(0, kLengthSize), kLengthSize, begin)[0];
    // Cut the columns of the dump behind the four bytes.
    add_line(out, length.substr(0, 24) + "length of the header: " + number(header_size));
    add_line(out, "header    " + escape_controls(frame.substr(kLengthSize, header_size)));
    const std::string_view payload = frame.substr(kLengthSize + header_size);
    if (payload.empty()) return out;
    add_line(out, "payload   " + bytes_text(payload.size()) +
                      (payload.size() > kShownPayload
                           ? ", the first " + number(kShownPayload) + " of them"
                           : ""));
    for (const std::string& line :
         hex_dump(payload, kShownPayload, begin + kLengthSize + header_size)) {
        add_line(out, line);
    }
    return out;
}

void WireLog::take(Direction& way, std::string_view bytes) {
    const std::uint64_t begin =
        way.recent.empty() ? way.begin + way.waiting.size() : way.recent.back().end;
    way.recent.push_back({++way.calls, begin, begin + bytes.size()});
    std::string out = std::string(way.arrow) + " " + way.call + " " + number(way.calls) + ": " +
                      bytes_text(bytes.size()) + ", " + number(begin) + " to " +
                      number(begin + bytes.size() - 1) + " of the stream\n";
    try {
        if (!way.lost) way.waiting += bytes;
        std::size_t header_size = 0;
        std::string type;
        while (!way.lost) {
            const std::size_t size = whole_frame(way, header_size, type);
            if (size == 0) break;
            out += describe_frame(way, size, header_size, type);
            way.waiting.erase(0, size);
            way.begin += size;
        }
        if (!way.lost && !way.waiting.empty()) {
            add_line(out, bytes_text(way.waiting.size()) + " of frame " + number(way.frames + 1) +
                              " so far");
        }
    } catch (const ProtocolError& error) {
        way.lost = true;
        out += std::string(way.arrow) + " not a frame, at " + number(way.begin) + ": " +
               escape_controls(error.what()) + "; from here on bytes are only counted\n";
        for (const std::string& line : hex_dump(way.waiting, kShownPayload, way.begin))
            add_line(out, line);
        way.waiting.clear();
    }
    // Forget calls whose bytes are all in whole frames. Keep the last one: it has the stream's end.
    while (way.recent.size() > 1 && (way.lost || way.recent.front().end <= way.begin))
        way.recent.pop_front();
    show(out);
}

}  // namespace frsh
