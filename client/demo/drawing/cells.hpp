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

// Returns lines of at most `width` cells. Breaks at spaces and between Chinese characters. A line
// does not begin with a closing mark or end with an opening one. A word longer than a line is cut.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);

// Appends spaces up to `width` cells. Returns longer text unchanged.
[[nodiscard]] std::string pad(std::string_view text, std::size_t width);

// Returns at most `width` cells of the text, with an ellipsis if it was cut.
[[nodiscard]] std::string clip(std::string_view text, std::size_t width);

// Returns one piece for each character, in order. A byte that is not UTF-8 is a piece of its own.
[[nodiscard]] std::vector<std::string_view> characters(std::string_view text);

}  // namespace frsh::demo
