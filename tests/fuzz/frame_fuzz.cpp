// The frame decoder on any bytes: however they are cut, the same frames come out, and the same lie
// is found; and a frame that was taken can be said again.
#include "common/base/error.hpp"
#include "common/proto/frame.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Seen {
    std::vector<std::string> frames;  // The header as we write it, and the payload.
    std::string problem;
    bool operator==(const Seen&) const = default;
};

void must_hold(bool holds) {
    if (!holds) std::abort();
}

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
                must_hold(frame->header.object() != nullptr);
                must_hold(frame->payload.size() <= limits.payload);
                seen.frames.push_back(frame->header.dump() + "\n" + std::string(frame->payload));
            }
            // Never more is held than one frame needs, beside what was fed at once.
            must_hold(decoder.buffered() <= 4 + limits.header + limits.payload + size);
        }
    } catch (const frsh::ProtocolError& error) {
        seen.problem = error.what();
    }
    return seen;
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
        const std::size_t end = one.find('\n');
        const std::string header = one.substr(0, end);
        const std::string payload = one.substr(end + 1);
        // What we write of a header can only be longer by escapes; beyond the limit nothing is
        // sent.
        if (header.size() > frsh::kFrameLimits.header) continue;
        std::string again;
        frsh::append_frame(again, header, payload);
        const Seen second = decode(again, {again.size()}, frsh::kFrameLimits);
        must_hold(second.problem.empty() && second.frames.size() == 1 && second.frames[0] == one);
    }
    return 0;
}
