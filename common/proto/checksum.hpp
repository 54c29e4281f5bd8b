// CRC-32 as zlib, Python's binascii, Go's hash/crc32 and Java have it (polynomial 0xEDB88320), so
// that a client in any language can check it. It finds lost, doubled and reordered bytes; against
// forgery there is TLS.
#pragma once

#include <cstdint>
#include <string_view>

namespace frsh {

class Crc32 {
  public:
    Crc32() = default;
    // Goes on from a value that value() gave.
    explicit Crc32(std::uint32_t value) : value_(value) {}

    void update(std::string_view bytes);
    [[nodiscard]] std::uint32_t value() const { return value_; }

  private:
    std::uint32_t value_ = 0;
};

}  // namespace frsh
