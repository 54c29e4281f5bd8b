// The binary notation of SSH (RFC 4251, section 5), in which keys, signatures and proofs are spelt.
//
// Strict on purpose: what is read here is either signed or decides who gets in, so every value has
// one spelling, no length is believed before the bytes are there, and nothing may follow the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace frsh {

// No key, signature or proof comes near this; a length above it is a lie.
inline constexpr std::size_t kMaxWireString = std::size_t{256} * 1024;

// Walks over bytes it does not own: what it returns points into them. Everything throws
// ProtocolError when the bytes are not what was asked for.
class WireReader {
  public:
    // `subject` names in error messages what is being read ("key", "signature").
    WireReader(std::string_view bytes, std::string_view subject)
        : rest_(bytes), subject_(subject) {}
    WireReader(std::string&& bytes, std::string_view subject) = delete;  // It would be gone.

    std::uint8_t u8();
    std::uint32_t u32();
    std::string_view string(std::size_t limit = kMaxWireString);
    std::string_view take(std::size_t size);

    // A positive number's magnitude, without leading zeros. Negative numbers, zero and padded
    // spellings are refused: nothing in a key or a signature is ever one of those.
    std::string_view positive_mpint(std::size_t limit = kMaxWireString);

    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    void finish() const;  // Nothing may be left.

    [[noreturn]] void refuse(std::string_view why) const;

  private:
    std::string_view rest_;
    std::string_view subject_;
};

class WireWriter {
  public:
    WireWriter& u8(std::uint8_t value);
    WireWriter& u32(std::uint32_t value);
    WireWriter& string(std::string_view bytes);
    WireWriter& mpint(std::string_view magnitude);  // Big-endian; leading zeros are dropped.
    WireWriter& raw(std::string_view bytes);

    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::string take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

}  // namespace frsh
