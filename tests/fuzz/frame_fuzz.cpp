// Fuzzes the frame decoder: in each cutting of the same bytes it finds the same frames and the same
// error, and an accepted frame can be encoded again.
#include "common/base/error.hpp"
#include "common/proto/frame.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace {

struct Seen {
    std::vector<std::string> frames;  // The header, written again, and the payload.
    std::string problem;
    bool operator==(const Seen&) const = default;
};

Seen decode(std::string_view bytes, const std::vector<std::size_t>& cuts,
            frsh::FrameLimits limits) {
    frsh::FrameDecoder decoder(limits);
    Seen seen;
    try {
        for (std::size_t turn = 0; !bytes.empty(); ++turn) {
            const std::size_t size = std::min(cuts[turn % cuts.size()], bytes.size());
            decoder.feed(bytes.substr(0, size));
            bytes.remove_prefix(size);
            while (const auto frame = decoder.next()) {
                must_hold(frame->payload.size() <= limits.payload);
                seen.frames.push_back(frame->header.dump() + "\n" + std::string(frame->payload));
            }
            // The decoder holds at most one frame besides what was fed at once.
            must_hold(decoder.buffered() <= 4 + limits.header + limits.payload + size);
        }
    } catch (const frsh::ProtocolError& error) {
        seen.problem = error.what();
    }
    return seen;
}

// Writes and reads the frame once more. Returns nothing if escapes made it too long.
std::optional<std::string> say_again(const std::string& frame) {
    const std::size_t end = frame.find('\n');
    const std::string header = frame.substr(0, end);
    if (header.size() > frsh::kFrameLimits.header) return std::nullopt;
    std::string bytes;
    frsh::append_frame(bytes, header, frame.substr(end + 1));
    const Seen seen = decode(bytes, {bytes.size()}, frsh::kFrameLimits);
    must_hold(seen.problem.empty() && seen.frames.size() == 1);
    return seen.frames[0];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 200'000) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const Seen whole = decode(bytes, {size + 1}, frsh::kFrameLimits);
    must_hold(whole == decode(bytes, {1}, frsh::kFrameLimits));
    must_hold(whole == decode(bytes, {3, 1, 7, 64, 2}, frsh::kFrameLimits));
    (void)decode(bytes, {5}, frsh::kStrangerLimits);

    for (const std::string& one : whole.frames) {
        // The first writing may change the form of a number or an escape. The second changes
        // nothing.
        const auto first = say_again(one);
        if (!first) continue;
        const auto second = say_again(*first);
        must_hold(second && *second == *first);
    }
    return 0;
}
