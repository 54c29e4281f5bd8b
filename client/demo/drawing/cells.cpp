#include "client/demo/drawing/cells.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace frsh::demo {
namespace {

struct Range {
    std::uint32_t first;
    std::uint32_t last;
};

// Characters with the width W or F in Unicode's EastAsianWidth.txt, in blocks. "Ambiguous" ones
// (box drawing, curly quotes) take one cell in a terminal with default settings.
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x2329, 0x232A},
    Range{0x2E80, 0x303E},   Range{0x3041, 0x33FF},   Range{0x3400, 0x4DBF},
    Range{0x4E00, 0x9FFF},   Range{0xA000, 0xA4CF},   Range{0xA960, 0xA97F},
    Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},
    Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F},
    Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};

std::size_t length_at(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    return std::min(length, text.size());
}

std::uint32_t code_of(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) return first;
    std::uint32_t code = first & (0xFFU >> (character.size() + 1));
    for (const char byte : character.substr(1))
        code = code << 6 | (static_cast<unsigned char>(byte) & 0x3F);
    return code;
}

std::size_t width_of_one(std::string_view character) {
    const std::uint32_t code = code_of(character);
    const bool is_wide = std::any_of(kWide.begin(), kWide.end(), [&](const Range& range) {
        return code >= range.first && code <= range.last;
    });
    return is_wide ? 2 : 1;
}

bool is_one_of(std::string_view character, std::string_view marks) {
    return marks.find(character) != std::string_view::npos;
}

// Returns true if a line may break here. In Chinese typography, a line neither begins with a
// closing mark nor ends with an opening one.
bool may_break_between(std::string_view before, std::string_view after) {
    constexpr std::string_view kClosing = "，。、；：？！）》」』”’…—,.;:?!)]}%";
    constexpr std::string_view kOpening = "（《「『“‘([{";
    if (before.size() == 1 && after.size() == 1) return false;  // Inside a word.
    // Never break inside "——".
    return !is_one_of(after, kClosing) && !is_one_of(before, kOpening);
}

// Returns pieces that are never cut: words, spaces, and Chinese characters with their marks.
std::vector<std::string> unbreakable(std::string_view text) {
    std::vector<std::string> pieces;
    std::string_view before;
    for (const std::string_view character : characters(text)) {
        const bool starts = before.empty() || character == " " || before == " " ||
                            may_break_between(before, character);
        if (starts) {
            pieces.emplace_back(character);
        } else {
            pieces.back() += character;
        }
        before = character;
    }
    return pieces;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
    std::vector<std::string_view> all;
    while (!text.empty()) {
        const std::size_t length = length_at(text);
        all.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return all;
}

std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    for (const std::string_view character : characters(text))
        width += width_of_one(character);
    return width;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
    std::vector<std::string> lines(1);
    std::size_t used = 0;
    const auto put = [&](std::string_view piece) {
        lines.back() += piece;
        used += width_of(piece);
    };
    const auto new_line = [&] {
        while (!lines.back().empty() && lines.back().back() == ' ')
            lines.back().pop_back();
        lines.emplace_back();
        used = 0;
    };
    for (const std::string& piece : unbreakable(text)) {
        if (used + width_of(piece) > width && used > 0) new_line();
        if (piece == " " && used == 0) continue;
        if (width_of(piece) <= width) {
            put(piece);
            continue;
        }
        for (const std::string_view character : characters(piece)) {
            if (used + width_of_one(character) > width) new_line();
            put(character);
        }
    }
    while (!lines.back().empty() && lines.back().back() == ' ')
        lines.back().pop_back();
    if (lines.back().empty() && lines.size() > 1) lines.pop_back();
    return lines;
}

std::string pad(std::string_view text, std::size_t width) {
    const std::size_t used = width_of(text);
    return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string clip(std::string_view text, std::size_t width) {
    if (width_of(text) <= width) return std::string(text);
    std::string clipped;
    std::size_t used = 1;  // The ellipsis.
    for (const std::string_view character : characters(text)) {
        used += width_of_one(character);
        if (used > width) break;
        clipped += character;
    }
    return clipped + "…";
}

}  // namespace frsh::demo
