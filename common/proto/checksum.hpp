// CRC-32 as in zlib, Python's binascii, Go's hash/crc32 and Java (polynomial 0xEDB88320), so that a
// client in any language can check it. It finds lost, repeated and reordered bytes. It does not
// protect against forgery; TLS does.
#pragma once

#include <cstdint>
#include <string_view>

namespace frsh {

class Crc32 {
  public:
    Crc32() = default;
    // Continues from a value that value() returned.
    explicit Crc32(std::uint32_t value) : value_(value) {}

    void update(std::string_view bytes);
    [[nodiscard]] std::uint32_t value() const { return value_; }

  private:
    std::uint32_t value_ = 0;
};

}  // namespace frsh
