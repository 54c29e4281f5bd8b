// Bytes to look at: offset, hexadecimal, and what is printable, sixteen a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// "00000000  68 65 6c 6c 6f 0a                                |hello.|", at most 78 columns wide;
// of at most `most` bytes. The offset counts from `first`.
[[nodiscard]] std::vector<std::string> hex_dump(std::string_view bytes, std::size_t most,
                                                std::uint64_t first = 0);

}  // namespace frsh
