// The binary encoding of SSH (RFC 4251, section 5) for keys, signatures and proofs.
//
// The reader is strict, because its input is signed or decides a login. Each value has exactly one
// accepted encoding, lengths are checked against the available bytes, and trailing bytes are
// errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace frsh {

// Far above the size of any key, signature or proof. A larger length is an error.
inline constexpr std::size_t kMaxWireString = std::size_t{256} * 1024;

// Reads from bytes that it does not own; the returned views point into them. All functions throw
// ProtocolError if the bytes do not match.
class WireReader {
  public:
    // `subject` names the input in error messages ("key", "signature").
    WireReader(std::string_view bytes, std::string_view subject)
        : rest_(bytes), subject_(subject) {}
    WireReader(std::string&& bytes, std::string_view subject) = delete;  // The views would dangle.

    std::uint8_t u8();
    std::uint32_t u32();
    std::string_view string(std::size_t limit = kMaxWireString);
    std::string_view take(std::size_t size);

    // Returns the magnitude of a positive number, without leading zeros. Negative numbers, zero and
    // padded encodings throw: no field of a key or a signature may have them.
    std::string_view positive_mpint(std::size_t limit = kMaxWireString);

    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    void finish() const;  // Throws if bytes are left.

    [[noreturn]] void refuse(std::string_view why) const;

  private:
    std::string_view rest_;
    std::string_view subject_;
};

class WireWriter {
  public:
    WireWriter() = default;
    // Makes room for this many bytes: a writer that grows leaves copies of a secret behind.
    explicit WireWriter(std::size_t room) { bytes_.reserve(room); }

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
