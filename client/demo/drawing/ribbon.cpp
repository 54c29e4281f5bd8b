#include "client/demo/drawing/ribbon.hpp"

#include "client/demo/drawing/cells.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {
namespace {

struct Grid {
    std::size_t bytes_per_cell;
    std::size_t cells_per_row;
};

// Cuts [begin, end) of the stream into the rows that contain it.
void put_segments(std::vector<RibbonRow>& rows, std::vector<Segment> RibbonRow::*list, Grid grid,
                  std::size_t begin, std::size_t end, std::size_t index) {
    if (begin == end) return;
    const std::size_t bytes_per_row = grid.bytes_per_cell * grid.cells_per_row;
    for (std::size_t row = begin / bytes_per_row; row <= (end - 1) / bytes_per_row; ++row) {
        const std::size_t row_begin = row * bytes_per_row;
        const std::size_t first = std::max(begin, row_begin) - row_begin;
        const std::size_t last = std::min(end, row_begin + bytes_per_row) - row_begin;
        Segment segment;
        segment.begin = first / grid.bytes_per_cell;
        segment.end =
            std::max((last + grid.bytes_per_cell - 1) / grid.bytes_per_cell, std::size_t{1});
        segment.starts = begin >= row_begin;
        segment.finishes = end <= row_begin + bytes_per_row;
        segment.index = index;
        auto& segments = rows[row].*list;
        // A cell of several bytes belongs to the piece of its first byte.
        if (!segments.empty()) segment.begin = std::max(segment.begin, segments.back().end);
        segment.end = std::min(segment.end, rows[row].cells.size());
        if (segment.begin < segment.end) segments.push_back(segment);
    }
}

std::string short_name(std::string_view label) {
    const std::size_t space = label.rfind(' ');
    const auto last = label.substr(space == std::string_view::npos ? 0 : space + 1);
    const auto letters = characters(last);
    const bool is_number = !last.empty() && last[0] >= '0' && last[0] <= '9';
    if (is_number) return std::string(last);
    return letters.empty() ? "" : std::string(letters[0]);
}

// Returns one character for a cell of several bytes. Neighbouring pieces have different ones.
std::string mark_of(std::string_view label) {
    const std::string name = short_name(label);
    return width_of(name) == 1 ? name : name.substr(name.size() - 1);
}

}  // namespace

RibbonLayout lay_out(const Ribbon& ribbon, std::size_t cells_per_row, std::size_t most_rows) {
    std::size_t total = 0;
    for (const Piece& piece : ribbon.pieces)
        total += piece.bytes.size();
    RibbonLayout layout;
    const std::size_t most_cells = cells_per_row * most_rows;
    layout.bytes_per_cell = std::max((total + most_cells - 1) / most_cells, std::size_t{1});

    std::size_t offset = 0;
    const auto add_cell = [&](const std::string& glyph, std::size_t piece) {
        if (layout.rows.empty() || layout.rows.back().cells.size() == cells_per_row) {
            layout.rows.push_back({offset, {}, {}, {}});
        }
        layout.rows.back().cells.push_back({glyph, piece});
    };
    for (std::size_t i = 0; i < ribbon.pieces.size(); ++i) {
        const Piece& piece = ribbon.pieces[i];
        for (const char byte : piece.bytes) {
            if (offset % layout.bytes_per_cell == 0) {
                add_cell(layout.bytes_per_cell == 1 ? glyph_of(byte) : mark_of(piece.label.en), i);
            }
            ++offset;
        }
    }
    const Grid grid{layout.bytes_per_cell, cells_per_row};
    offset = 0;
    for (std::size_t i = 0; i < ribbon.pieces.size(); ++i) {
        const std::size_t size = ribbon.pieces[i].bytes.size();
        put_segments(layout.rows, &RibbonRow::pieces, grid, offset, offset + size, i);
        offset += size;
    }
    offset = 0;
    for (std::size_t i = 0; i < ribbon.takes.size(); ++i) {
        const std::size_t size = std::min(ribbon.takes[i].size, total - offset);
        put_segments(layout.rows, &RibbonRow::takes, grid, offset, offset + size, i);
        offset += size;
    }
    return layout;
}

std::string bracket_label(std::string_view label, std::size_t size, std::size_t room) {
    const std::string brief = short_name(label);
    const std::string number = std::to_string(size);
    for (const std::string& candidate :
         {std::string(label) + ": " + number, brief + ": " + number, std::string(label), brief}) {
        if (width_of(candidate) + 2 <= room) return " " + candidate + " ";
    }
    return width_of(brief) <= room ? brief : "";
}

namespace {

// Returns the labels of one side, each once and in their order, if one of them is not drawn whole.
std::string hidden_labels(const RibbonLayout& layout, std::vector<Segment> RibbonRow::*list,
                          const std::vector<std::string>& labels, std::string_view comma) {
    std::vector<std::size_t> room(labels.size(), 0);
    for (const RibbonRow& row : layout.rows)
        for (const Segment& segment : row.*list)
            room[segment.index] = std::max(room[segment.index], segment.end - segment.begin);
    std::string all;
    bool is_hidden = false;
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const std::string& label = labels[i];
        const std::string brief = short_name(label);
        const bool is_shown = label.ends_with(brief) || width_of(label) + 4 <= room[i];
        is_hidden = is_hidden || (!is_shown && room[i] > 0);
        if (room[i] == 0 || label.ends_with(brief)) continue;
        if (std::find(seen.begin(), seen.end(), label) != seen.end()) continue;
        seen.push_back(label);
        all.append(all.empty() ? "" : comma).append(label);
    }
    return is_hidden ? all : "";
}

}  // namespace

std::string legend(const Ribbon& ribbon, const RibbonLayout& layout, Language language) {
    std::vector<std::string> sent;
    std::vector<std::string> taken;
    for (const Piece& piece : ribbon.pieces)
        sent.push_back(piece.label.in(language));
    for (const Take& take : ribbon.takes)
        taken.push_back(take.label.in(language));
    const bool is_chinese = language == Language::Chinese;
    const char* const comma = is_chinese ? "、" : ", ";
    const std::string above = hidden_labels(layout, &RibbonRow::pieces, sent, comma);
    const std::string below = hidden_labels(layout, &RibbonRow::takes, taken, comma);
    std::string text;
    if (!above.empty()) text += (is_chinese ? "上：" : "above: ") + above;
    if (!above.empty() && !below.empty()) text += is_chinese ? "；" : "; ";
    if (!below.empty()) text += (is_chinese ? "下：" : "below: ") + below;
    return text;
}

std::string glyph_of(char byte) {
    if (byte == '\n') return "↵";
    if (byte >= 0x20 && byte < 0x7F) return {byte};
    return "∙";
}

std::string stream_of(const Ribbon& ribbon) {
    std::string stream;
    for (const Piece& piece : ribbon.pieces)
        stream += piece.bytes;
    return stream;
}

}  // namespace frsh::demo
