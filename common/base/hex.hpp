// Formats bytes for display: offset, hexadecimal and printable characters, 16 bytes a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns lines of at most 78 columns for the first `most` bytes; offsets count from `first`:
// "00000000  68 65 6c 6c 6f 0a                                |hello.|"
[[nodiscard]] std::vector<std::string> hex_dump(std::string_view bytes, std::size_t most,
                                                std::uint64_t first = 0);

}  // namespace frsh
