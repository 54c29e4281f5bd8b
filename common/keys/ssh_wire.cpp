#include "common/keys/ssh_wire.hpp"

#include "common/base/error.hpp"

namespace frsh {

std::uint8_t WireReader::u8() {
    return static_cast<std::uint8_t>(take(1)[0]);
}

std::uint32_t WireReader::u32() {
    std::uint32_t value = 0;
    for (const char byte : take(4))
        value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
}

std::string_view WireReader::string(std::size_t limit) {
    const std::uint32_t size = u32();
    if (size > limit) refuse("a string is too long");
    return take(size);
}

std::string_view WireReader::take(std::size_t size) {
    if (size > rest_.size()) refuse("cut short");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
}

std::string_view WireReader::positive_mpint(std::size_t limit) {
    // One more byte than the magnitude: a zero in front, where the top bit would mean "negative".
    std::string_view bytes = string(limit + 1);
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    if (bytes.empty()) refuse("a number is zero");
    if (at(0) >= 0x80) refuse("a number is negative");
    if (at(0) == 0) {
        if (bytes.size() < 2 || at(1) < 0x80) refuse("a number is padded");
        bytes.remove_prefix(1);
    }
    if (bytes.size() > limit) refuse("a number is too long");
    return bytes;
}

void WireReader::finish() const {
    if (!at_end()) refuse("something follows its end");
}

void WireReader::refuse(std::string_view why) const {
    throw ProtocolError(std::string(subject_) + ": " + std::string(why));
}

WireWriter& WireWriter::u8(std::uint8_t value) {
    bytes_ += static_cast<char>(value);
    return *this;
}

WireWriter& WireWriter::u32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes_ += static_cast<char>(value >> shift & 0xFF);
    return *this;
}

WireWriter& WireWriter::string(std::string_view bytes) {
    must(bytes.size() <= UINT32_MAX, "an SSH string has a 32 bit length");
    u32(static_cast<std::uint32_t>(bytes.size()));
    return raw(bytes);
}

WireWriter& WireWriter::mpint(std::string_view magnitude) {
    while (!magnitude.empty() && magnitude[0] == 0)
        magnitude.remove_prefix(1);
    const bool looks_negative = !magnitude.empty() && (magnitude[0] & 0x80) != 0;
    u32(static_cast<std::uint32_t>(magnitude.size() + (looks_negative ? 1 : 0)));
    if (looks_negative) u8(0);
    return raw(magnitude);
}

WireWriter& WireWriter::raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
}

}  // namespace frsh
