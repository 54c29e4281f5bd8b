// LineView turns what a line should look like into bytes for the terminal, and draws only what has
// changed. Pure: the owner writes the bytes.
//
// It uses few sequences, which every terminal since the VT100 obeys. A terminal without any
// (TERM=dumb) gets blanks, carriage returns and one row that moves sideways.
#pragma once

#include "client/io/line_layout.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace frsh {

class LineView {
  public:
    enum class Kind { Escapes, Dumb };
    explicit LineView(Kind kind) : kind_(kind) {}

    // Sets the size of the terminal; 0 is unknown. Nothing may be shown; see resize().
    void set_size(unsigned columns, unsigned rows);
    [[nodiscard]] unsigned columns() const { return columns_; }
    [[nodiscard]] unsigned rows() const { return height_; }

    // Each returns bytes for the terminal.
    [[nodiscard]] std::string draw(const LineContent& content);
    // Draws after the terminal has changed its size, and has wrapped what is shown anew.
    [[nodiscard]] std::string resize(const LineContent& content, unsigned columns, unsigned rows);
    // Removes the line, so that other output can take its place.
    [[nodiscard]] std::string erase();
    // Leaves the line as it is, with the cursor at its end.
    [[nodiscard]] std::string leave(const LineContent& content);
    // Clears the screen. The next draw() begins at its top.
    [[nodiscard]] std::string clear_screen();
    // Assumes that nothing is shown, and that the cursor is at the start of a row.
    void forget();

  private:
    [[nodiscard]] std::string draw_rows(LineFrame frame);
    [[nodiscard]] std::string draw_dumb(const LineContent& content);
    [[nodiscard]] std::string to_first_row() const;

    Kind kind_;
    unsigned columns_ = 80;
    unsigned height_ = 24;
    std::vector<Row> shown_;
    std::size_t cursor_row_ = 0;  // In shown_.
    std::size_t top_ = 0;         // The number of rows above the screen, if the line is higher.
    unsigned dumb_width_ = 0;     // Cells that are not blank.
};

}  // namespace frsh
