#include "common/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace frsh {
namespace {

// Returns the length of the well-formed UTF-8 sequence at the start of `bytes`, or 0.
std::size_t utf8_length(std::string_view bytes) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || bytes.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xC0) != 0x80) return 0;
    }
    // RFC 3629, section 4, forbids overlong forms, surrogates and values above U+10FFFF.
    if (first == 0xE0 && at(1) < 0xA0) return 0;
    if (first == 0xED && at(1) > 0x9F) return 0;
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return length;
}

// `size` is what utf8_length() returns.
char32_t decode_utf8(std::string_view bytes, std::size_t size) {
    const auto first = static_cast<unsigned char>(bytes[0]);
    if (size == 1) return first;
    char32_t value = first & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i)
        value = value << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3FU);
    return value;
}

struct CharacterRange {
    char32_t first;
    char32_t last;
};
constexpr std::array kControls = {
    CharacterRange{0, 0x1F},        CharacterRange{0x7F, 0x9F},
    CharacterRange{0x61C, 0x61C},    // Arabic letter mark.
    CharacterRange{0x200E, 0x200F},  // Marks of direction.
    CharacterRange{0x2028, 0x202E},  // Separators of lines; embeddings and overrides.
    CharacterRange{0x2066, 0x206F},  // Isolates; deprecated controls.
};

struct Unit {
    std::string_view name;
    double milliseconds;
};
constexpr std::array kDurations = {Unit{"ms", 1}, Unit{"s", 1e3}, Unit{"m", 6e4}, Unit{"h", 3.6e6},
                                   Unit{"d", 8.64e7}};
constexpr double kLongestDuration = 3.2e13;  // A thousand years, in milliseconds.

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    double sum = 0;
    double last_scale = 0;  // The unit of the part before; 0: this is the first part.
    do {
        if (text.empty() || !(text[0] >= '0' && text[0] <= '9')) return std::nullopt;
        double value = 0;
        const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value,
                                                   std::chars_format::fixed);
        if (error != std::errc{}) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
        const std::string_view unit = text.substr(0, text.find_first_of("0123456789"));
        text.remove_prefix(unit.size());
        // Only a number that stands alone may lack its unit.
        double scale = unit.empty() && last_scale == 0 && text.empty() ? 1e3 : 0;
        for (const Unit& known : kDurations) {
            if (unit == known.name) scale = known.milliseconds;
        }
        if (scale == 0 || (last_scale != 0 && scale >= last_scale)) return std::nullopt;
        sum += value * scale;
        last_scale = scale;
    } while (!text.empty());
    if (!(sum <= kLongestDuration)) return std::nullopt;
    return std::chrono::milliseconds(std::llround(sum));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    unsigned shift = 0;
    if (!text.empty()) {
        switch (text.back()) {
            case 'k':
            case 'K':
                shift = 10;
                break;
            case 'm':
            case 'M':
                shift = 20;
                break;
            case 'g':
            case 'G':
                shift = 30;
                break;
            default:
                break;
        }
    }
    if (shift != 0) text.remove_suffix(1);
    const auto value = parse_number(text, 0, UINT64_MAX >> (shift + 1));
    if (!value) return std::nullopt;
    return *value << shift;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t low,
                                          std::uint64_t high) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end || value < low || value > high) return std::nullopt;
    return value;
}

bool is_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t length = utf8_length(bytes);
        if (length == 0) return false;
        bytes.remove_prefix(length);
    }
    return true;
}

Character first_character(std::string_view bytes) {
    const std::size_t size = utf8_length(bytes);
    if (size == 0) return {1, true, 0};
    const char32_t value = decode_utf8(bytes, size);
    const bool is_control =
        std::any_of(kControls.begin(), kControls.end(), [value](const CharacterRange& range) {
            return value >= range.first && value <= range.last;
        });
    return {size, is_control, value};
}

std::string escape_controls(std::string_view bytes) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string safe;
    while (!bytes.empty()) {
        const Character character = first_character(bytes);
        for (const char c : bytes.substr(0, character.size)) {
            if (!character.is_control) {
                safe += c;
                continue;
            }
            const auto value = static_cast<unsigned char>(c);
            safe += "\\x";
            safe += kHex[value >> 4];
            safe += kHex[value & 15];
        }
        bytes.remove_prefix(character.size);
    }
    return safe;
}

std::string base64_encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j) {
            group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            text += j <= count ? kBase64[group >> (18 - 6 * j) & 63] : '=';
        }
    }
    return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const bool is_last = i + 4 == text.size();
        std::uint32_t group = 0;
        std::size_t padding = 0;
        for (std::size_t j = 0; j < 4; ++j) {
            const char c = text[i + j];
            const std::size_t value = kBase64.find(c);
            if (c == '=' && is_last && j >= 2) {
                ++padding;
                group <<= 6;
            } else if (value == std::string_view::npos || padding != 0) {
                return std::nullopt;
            } else {
                group = group << 6 | static_cast<std::uint32_t>(value);
            }
        }
        // Unused bits must be zero, so that each value has one text only.
        if ((padding == 1 && (group & 0xFF) != 0) || (padding == 2 && (group & 0xFFFF) != 0)) {
            return std::nullopt;
        }
        for (std::size_t j = 0; j < 3 - padding; ++j) {
            bytes += static_cast<char>(group >> (16 - 8 * j) & 0xFF);
        }
    }
    return bytes;
}

std::string shell_quote_always(std::string_view word) {
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted += c;
        }
    }
    return quoted + "'";
}

std::string shell_quote(std::string_view word) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) {
        return std::string(word);
    }
    return shell_quote_always(word);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

}  // namespace frsh
