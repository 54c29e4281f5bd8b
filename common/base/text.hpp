// Small functions on bytes and text: units as users type them, UTF-8, base64, escapes for
// terminals and shells.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Parses "250ms", "1.5m", "2h", "90" (seconds) or "1m30s" (the largest unit first). Returns nothing
// for any other text, also for one with a sign or a space.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// Parses "4096", "64K", "16M" or "2G" (powers of 1024) to bytes. Returns nothing for other texts.
std::optional<std::uint64_t> parse_size(std::string_view text);

// Parses a decimal number within [low, high]. Returns nothing for a sign, a space or a rest.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t low,
                                          std::uint64_t high);

// Returns true for UTF-8 by RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view bytes);

// The character at the start of a text.
struct Character {
    std::size_t size;  // Bytes; 1 if they are not UTF-8.
    // A terminal would obey it, or show the text around it in another order.
    bool is_control;
    char32_t value;  // 0 if the bytes are not UTF-8, which counts as a control.
};
// `bytes` must not be empty.
[[nodiscard]] Character first_character(std::string_view bytes);

// Makes foreign text safe for a terminal: controls and broken UTF-8 become \xNN, byte by byte.
// Controls are U+0000 to U+001F, U+007F to U+009F, line separators and the controls of the
// bidirectional algorithm (Unicode annex 9). A text that is safe is returned unchanged.
[[nodiscard]] std::string escape_controls(std::string_view bytes);

// Base64 by RFC 4648, section 4, with padding. base64_decode returns nothing for any other text.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// Quotes a word, if needed, so that a POSIX shell reads it back unchanged.
[[nodiscard]] std::string shell_quote(std::string_view word);
// Quotes a word in any case.
[[nodiscard]] std::string shell_quote_always(std::string_view word);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace frsh
