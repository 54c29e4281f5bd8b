// The byte stream laid out in rows of cells: the one drawing that both tellers show.
//
// Each row has the pieces that were put in above its cells and what was taken out below. A short
// stream has a cell for every byte; a long one has a cell for many, and then shows which piece they
// belong to.
#pragma once

#include "client/demo/story.hpp"

#include <cstdint>

namespace frsh::demo {

// A piece or a take, as far as it lies in one row; in cells of that row.
struct Segment {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool starts = false;    // Its first byte is in this row.
    bool finishes = false;  // Its last byte is in this row.
    std::size_t index = 0;  // Into Ribbon::pieces or Ribbon::takes.
};

struct Cell {
    std::string glyph;      // One cell wide.
    std::size_t piece = 0;  // Into Ribbon::pieces.
};

struct RibbonRow {
    std::size_t offset = 0;  // Of its first byte in the stream.
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

// What to write into a bracket of `room` cells: the longest of "label: size", "label", its last
// word's beginning, and nothing.
[[nodiscard]] std::string bracket_label(std::string_view label, std::size_t size, std::size_t room);

// One cell for one byte: itself where it is printable ASCII.
[[nodiscard]] std::string glyph_of(char byte);

// The whole stream, pieces joined.
[[nodiscard]] std::string stream_of(const Ribbon& ribbon);

}  // namespace frsh::demo
