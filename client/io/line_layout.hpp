// The rows that a line takes on a terminal: the prompt, the typed text, a suggestion behind it and
// a list below. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct LineContent {
    std::string_view prompt;  // Bytes between two \1 have no width.
    std::string_view text;
    std::size_t cursor = 0;       // An offset in the text.
    std::string_view suggestion;  // Grey, behind the text. Only its first line is shown.
    std::string_view note;        // Grey, at the right end of the first row if there is room.
    std::size_t match = 0;        // The text has a part that is highlighted: its offset.
    std::size_t match_size = 0;
    std::vector<std::string> below;  // A row each, cut to the width.
    bool has_colour = true;
};

struct Row {
    std::string bytes;  // As sent to the terminal.
    unsigned width = 0;
    bool wraps = false;  // The terminal itself goes on to the next row.
    bool operator==(const Row&) const = default;
};

struct LineFrame {
    std::vector<Row> rows;  // The last row is never full.
    std::size_t cursor_row = 0;
    std::size_t cursor_byte = 0;  // An offset in the bytes of that row.
};

// `columns` is at least 2.
[[nodiscard]] LineFrame lay_out(const LineContent& content, unsigned columns);

// Returns the prompt without the bytes between two \1.
[[nodiscard]] std::string plain_prompt(std::string_view prompt);

}  // namespace frsh
