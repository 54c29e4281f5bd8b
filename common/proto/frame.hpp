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

// The largest frame that a peer may send, in bytes.
struct FrameLimits {
    std::size_t header = 128 * 1024;
    std::size_t payload = 1024 * 1024;
};
inline constexpr FrameLimits kFrameLimits{};
// The limits until the peer is authenticated.
inline constexpr FrameLimits kStrangerLimits{4 * 1024, 16 * 1024};

struct Frame {
    JsonObject header;
    std::string_view payload;  // Lent by the decoder until its next call.
};

class FrameDecoder {
  public:
    explicit FrameDecoder(FrameLimits limits = kFrameLimits) : limits_(limits) {}

    // Applies from the next frame on.
    void set_limits(FrameLimits limits) { limits_ = limits; }

    // Returns room to read the next bytes into, at least `least` bytes; `size` is how many.
    // commit() adds what was read.
    char* room(std::size_t least, std::size_t& size);
    void commit(std::size_t size) { end_ += size; }
    // Adds a copy of bytes that lie elsewhere.
    void feed(std::string_view bytes);

    // Returns the next whole frame, or nothing yet. Throws ProtocolError if a length is above its
    // limit or a header is not a JSON object; the stream cannot be read any further then.
    std::optional<Frame> next();

    // Returns how many bytes of an incomplete frame have arrived; 0 between frames. If it is not 0
    // when the peer closes, a frame was cut off.
    [[nodiscard]] std::size_t buffered() const { return end_ - begin_; }
    // Returns these bytes and forgets them, so that another decoder can continue with them.
    [[nodiscard]] std::string take_rest();

  private:
    // Not initialised: a page costs no memory until it is written to.
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::optional<JsonObject>
        header_;  // The header of the frame whose payload has not arrived yet.
    std::size_t header_size_ = 0;
    std::size_t payload_size_ = 0;
    FrameLimits limits_;
};

// Appends a frame to `out`. `header` is a JSON object's text; its "len" must match `payload`.
void append_frame(std::string& out, std::string_view header, std::string_view payload);

}  // namespace frsh
