// Small questions about bytes and text: units that people type, UTF-8, base64, what is safe to
// show.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// "250ms", "10s", "1.5m", "2h", "3d", "90" (seconds). No sign, no spaces; nothing for anything
// else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// "4096", "64K", "16M", "2G": binary units, in bytes. Nothing for anything else.
std::optional<std::uint64_t> parse_size(std::string_view text);

// A whole decimal number within [low, high], or nothing: no sign, no spaces, no leftovers.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t low,
                                          std::uint64_t high);

// Well-formed UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view bytes);

// What a peer sent, made safe for a terminal: control bytes and broken UTF-8 become \xNN.
[[nodiscard]] std::string escape_controls(std::string_view bytes);

// RFC 4648, section 4, with padding.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// A word as a POSIX shell reads it back unchanged.
[[nodiscard]] std::string shell_quote(std::string_view word);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace frsh
