#include "common/proto/frame.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace frsh {
namespace {

constexpr std::size_t kLengthSize = 4;

// Writes the most significant byte first on every machine: "network byte order".
std::uint32_t get_u32(const char* bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < kLengthSize; ++i) {
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

std::size_t payload_size_of(const JsonObject& header, std::size_t limit) {
    const std::uint64_t size = header.maybe_whole("len", UINT64_MAX).value_or(0);
    if (size > limit) {
        throw ProtocolError("a payload of " + std::to_string(size) + " bytes, above the limit of " +
                            std::to_string(limit));
    }
    return static_cast<std::size_t>(size);
}

}  // namespace

char* FrameDecoder::room(std::size_t least, std::size_t& size) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < least && begin_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (capacity_ - end_ < least) {
        capacity_ = std::max(end_ + least, 2 * capacity_);
        std::unique_ptr<char[]> larger(new char[capacity_]);
        if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
        buffer_ = std::move(larger);
    }
    size = capacity_ - end_;
    return buffer_.get() + end_;
}

void FrameDecoder::feed(std::string_view bytes) {
    if (bytes.empty()) return;  // memcpy(3) must not get a null pointer, even for 0 bytes.
    std::size_t size = 0;
    char* const place = room(bytes.size(), size);
    std::memcpy(place, bytes.data(), bytes.size());
    commit(bytes.size());
}

std::optional<Frame> FrameDecoder::next() {
    if (!header_) {
        if (buffered() < kLengthSize) return std::nullopt;
        // Check the length before waiting for the bytes: a hostile peer must not make this process
        // buffer more than one frame.
        header_size_ = get_u32(buffer_.get() + begin_);
        if (header_size_ == 0) throw ProtocolError("a header of no bytes");
        if (header_size_ > limits_.header) {
            throw ProtocolError("a header of " + std::to_string(header_size_) +
                                " bytes, above the limit of " + std::to_string(limits_.header));
        }
        if (buffered() < kLengthSize + header_size_) return std::nullopt;
        JsonObject header = JsonObject::parse({buffer_.get() + begin_ + kLengthSize, header_size_});
        payload_size_ = payload_size_of(header, limits_.payload);
        header_ = std::move(header);
    }
    const std::size_t size = kLengthSize + header_size_ + payload_size_;
    if (buffered() < size) return std::nullopt;
    Frame frame{std::move(*header_),
                {buffer_.get() + begin_ + kLengthSize + header_size_, payload_size_}};
    header_.reset();
    begin_ += size;
    return frame;
}

std::string FrameDecoder::take_rest() {
    header_.reset();  // Its bytes are still there, with those of its payload.
    std::string rest(buffer_.get() + begin_, buffered());
    begin_ = end_;
    return rest;
}

void append_frame(std::string& out, std::string_view header, std::string_view payload) {
    must(header.size() <= kFrameLimits.header && payload.size() <= kFrameLimits.payload,
         "we send no frame above the limits");
    const auto size = static_cast<std::uint32_t>(header.size());
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(size >> shift & 0xFF);
    out += header;
    out += payload;
}

}  // namespace frsh
