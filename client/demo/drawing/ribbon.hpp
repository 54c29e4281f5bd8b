// The byte stream in rows of cells: the drawing that both tellers show.
//
// Each row has the sent pieces above its cells, and the received ones below. A short stream has one
// cell for each byte. A long stream has one cell for several bytes, and shows their piece.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

// The part of a piece or of a take that is in one row, in cells of that row.
struct Segment {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool starts = false;    // Its first byte is in this row.
    bool finishes = false;  // Its last byte is in this row.
    std::size_t index = 0;  // Index in Ribbon::pieces or Ribbon::takes.
};

struct Cell {
    std::string glyph;      // One cell wide.
    std::size_t piece = 0;  // Index in Ribbon::pieces.
};

struct RibbonRow {
    std::size_t offset = 0;  // The first byte's offset in the stream.
    std::vector<Cell> cells;
    std::vector<Segment> pieces;
    std::vector<Segment> takes;
};

struct RibbonLayout {
    std::size_t bytes_per_cell = 1;
    std::vector<RibbonRow> rows;
};

[[nodiscard]] RibbonLayout lay_out(const Ribbon& ribbon, std::size_t cells_per_row,
                                   std::size_t most_rows);

// Returns the text of a bracket of `room` cells: the longest that fits of "label: size", "label",
// the beginning of the last word, and an empty text.
[[nodiscard]] std::string bracket_label(std::string_view label, std::size_t size, std::size_t room);

// Returns a line that names the labels for which no bracket has room, such as "above: length,
// header", or an empty text. A label that ends in a number or a letter, such as "recv 1", is never
// named, since its bracket shows that.
[[nodiscard]] std::string legend(const Ribbon& ribbon, const RibbonLayout& layout,
                                 Language language);

// Returns the cell of one byte: the character itself if it is printable ASCII.
[[nodiscard]] std::string glyph_of(char byte);

// Returns the whole stream: all pieces joined.
[[nodiscard]] std::string stream_of(const Ribbon& ribbon);

}  // namespace frsh::demo
