// Frames turn a byte stream back into messages.
//
// TCP delivers bytes, not messages: two sends may arrive in one read (they "stick"), and one send
// may arrive in ten. So each frame starts with its own length (see PROTOCOL.md):
//
//     +------------------+-----------------+---------------------------------+
//     | header length,   | header (JSON)   | payload: as many raw bytes      |
//     | 4 bytes, BE      |                 | as the header's "len" says      |
//     +------------------+-----------------+---------------------------------+
//
// This file does no I/O. Bytes go in as they come; whole frames come out.
#pragma once

#include "common/proto/json.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// The most that a peer may make us hold for one frame, in bytes.
struct FrameLimits {
    std::size_t header = 64 * 1024;
    std::size_t payload = 1024 * 1024;
};
inline constexpr FrameLimits kFrameLimits{};
// Until the peer has shown who it is.
inline constexpr FrameLimits kStrangerLimits{4 * 1024, 16 * 1024};

struct Frame {
    Json header;               // Always an object.
    std::string_view payload;  // Lent by the decoder until its next call.
};

class FrameDecoder {
  public:
    explicit FrameDecoder(FrameLimits limits = kFrameLimits) : limits_(limits) {}

    // Applies from the next frame on.
    void set_limits(FrameLimits limits) { limits_ = limits; }

    // Where the next bytes may be read to directly, at least `least` of them; then say how many
    // came.
    char* room(std::size_t least, std::size_t& size);
    void commit(std::size_t size) { end_ += size; }
    // The same for bytes that lie elsewhere.
    void feed(std::string_view bytes);

    // The next whole frame, or nothing yet. Throws ProtocolError if the peer lies about a length or
    // sends a header that is none; the stream cannot be read any further then.
    std::optional<Frame> next();

    // Bytes of a frame that has begun and is not whole; 0 between frames. A peer that closes in
    // between has cut something off.
    [[nodiscard]] std::size_t buffered() const { return end_ - begin_; }
    // These bytes, undecoded, for somebody else to go on with. Only between next() and next().
    [[nodiscard]] std::string take_rest();

  private:
    // Left uninitialised, since a page costs nothing before it is written to.
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::optional<Json> header_;  // Of the frame whose payload we wait for.
    std::size_t header_size_ = 0;
    std::size_t payload_size_ = 0;
    FrameLimits limits_;
};

// Appends a frame to `out`. The header must be an object's text with the right "len" in it.
void append_frame(std::string& out, std::string_view header, std::string_view payload);

}  // namespace frsh
