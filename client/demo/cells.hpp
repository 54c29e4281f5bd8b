// How much room text takes on a terminal: in cells, not in bytes.
//
// A Chinese character is three bytes of UTF-8 and two cells wide; a box-drawing line is three bytes
// and one cell. The standard library's wcwidth(3) depends on the locale; this does not, so a lesson
// looks the same under LANG=C.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

[[nodiscard]] std::size_t width_of(std::string_view text);

// Lines of at most `width` cells. Breaks at spaces and between Chinese characters, but puts no
// closing mark at the start of a line and no opening one at its end; a word that fits no line is
// cut.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);

// Spaces behind, up to `width` cells; longer text is left as it is.
[[nodiscard]] std::string pad(std::string_view text, std::size_t width);

// At most `width` cells, with an ellipsis where something was cut off.
[[nodiscard]] std::string clip(std::string_view text, std::size_t width);

// One piece a character, in order. What is not UTF-8 counts a byte at a time.
[[nodiscard]] std::vector<std::string_view> characters(std::string_view text);

}  // namespace frsh::demo
