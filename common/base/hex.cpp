#include "common/base/hex.hpp"

#include <cinttypes>
#include <cstdio>

namespace frsh {

std::vector<std::string> hex_dump(std::string_view bytes, std::size_t most, std::uint64_t first) {
    constexpr std::size_t kLine = 16;
    std::vector<std::string> lines;
    const std::string_view shown = bytes.substr(0, most);
    for (std::size_t at = 0; at < shown.size(); at += kLine) {
        char offset[32];
        std::snprintf(offset, sizeof offset, "%08" PRIx64 " ", first + at);
        std::string line = offset;
        std::string text;
        for (std::size_t i = 0; i < kLine; ++i) {
            if (i % 8 == 0) line += ' ';
            if (at + i >= shown.size()) {
                line += "   ";
                continue;
            }
            const char byte = shown[at + i];
            char hex[8];
            std::snprintf(hex, sizeof hex, "%02x ", static_cast<unsigned char>(byte));
            line += hex;
            text += byte >= 0x20 && byte < 0x7F ? byte : '.';
        }
        lines.push_back(line + "|" + text + "|");
    }
    return lines;
}

}  // namespace frsh
