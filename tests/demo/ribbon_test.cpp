#include "client/demo/drawing/ribbon.hpp"

#include "client/demo/drawing/cells.hpp"

#include <cstddef>
#include <string>

#include <doctest/doctest.h>

using namespace frsh::demo;

namespace {

Ribbon two_sends_one_recv() {
    return {{"c", "c"},
            {{plain("send A"), "hello", 0}, {plain("send B"), "world!", 1}},
            {{plain("recv 1"), 11}}};
}

}  // namespace

TEST_CASE("ribbon: each send has a bracket above, each recv one below") {
    const RibbonLayout layout = lay_out(two_sends_one_recv(), 64, 4);
    REQUIRE(layout.rows.size() == 1);
    const RibbonRow& row = layout.rows[0];
    CHECK(row.cells.size() == 11);
    REQUIRE(row.pieces.size() == 2);
    CHECK(row.pieces[0].begin == 0);
    CHECK(row.pieces[0].end == 5);
    CHECK(row.pieces[1].begin == 5);
    CHECK(row.pieces[1].end == 11);
    REQUIRE(row.takes.size() == 1);
    CHECK(row.takes[0].end == 11);
}

TEST_CASE("ribbon: a bracket that continues in the next row stays open") {
    const RibbonLayout layout = lay_out(two_sends_one_recv(), 8, 4);
    REQUIRE(layout.rows.size() == 2);
    CHECK(layout.rows[1].offset == 8);
    CHECK(layout.rows[0].pieces[1].starts);
    CHECK_FALSE(layout.rows[0].pieces[1].finishes);
    CHECK_FALSE(layout.rows[1].pieces[0].starts);
    CHECK(layout.rows[1].pieces[0].finishes);
    CHECK(layout.rows[1].pieces[0].index == 1);
}

TEST_CASE("ribbon: a stream too long for its rows has many bytes in a cell, and fits") {
    Ribbon ribbon{{"c", "c"}, {}, {}};
    for (std::size_t i = 0; i < 30; ++i) {
        ribbon.pieces.push_back(
            {plain("send " + std::to_string(i)), std::string(997 * (i % 3), 'x'), i});
        ribbon.takes.push_back({plain("recv " + std::to_string(i + 1)), 900});
    }
    const RibbonLayout layout = lay_out(ribbon, 64, 4);
    CHECK(layout.rows.size() <= 4);
    CHECK(layout.bytes_per_cell > 1);
    for (const RibbonRow& row : layout.rows) {
        CHECK(row.cells.size() <= 64);
        for (const Cell& cell : row.cells)
            CHECK(width_of(cell.glyph) == 1);
        for (const auto* const list : {&row.pieces, &row.takes}) {
            std::size_t end = 0;
            for (const Segment& segment : *list) {
                CHECK(segment.begin >= end);
                CHECK(segment.begin < segment.end);
                CHECK(segment.end <= row.cells.size());
                end = segment.end;
            }
        }
    }
}

TEST_CASE("ribbon: an empty stream or send draws nothing") {
    CHECK(lay_out(Ribbon{{"c", "c"}, {}, {}}, 64, 4).rows.empty());
    const Ribbon ribbon{
        {"c", "c"}, {{plain("send A"), "", 0}, {plain("send B"), "b", 1}}, {{plain("recv 1"), 1}}};
    const RibbonLayout layout = lay_out(ribbon, 64, 4);
    REQUIRE(layout.rows.size() == 1);
    CHECK(layout.rows[0].pieces.size() == 1);
    CHECK(layout.rows[0].pieces[0].index == 1);
}

TEST_CASE("ribbon: a recv longer than the stream ends with the stream") {
    const Ribbon ribbon{
        {"c", "c"}, {{plain("send A"), "abc", 0}}, {{plain("recv 1"), 100}, {plain("recv 2"), 5}}};
    const RibbonLayout layout = lay_out(ribbon, 64, 4);
    REQUIRE(layout.rows[0].takes.size() == 1);
    CHECK(layout.rows[0].takes[0].end == 3);
}

TEST_CASE("ribbon: a label is shortened to its room") {
    CHECK(bracket_label("send A", 9, 12) == " send A: 9 ");
    CHECK(bracket_label("send A", 9, 7) == " A: 9 ");
    CHECK(bracket_label("recv 12", 9, 4) == " 12 ");
    CHECK(bracket_label("recv 12", 9, 2) == "12");
    CHECK(bracket_label("recv 12", 9, 1).empty());
}

TEST_CASE("ribbon: a byte is one cell, printable or a placeholder") {
    CHECK(glyph_of('a') == "a");
    CHECK(glyph_of('\n') == "↵");
    for (int byte = 0; byte < 256; ++byte)
        CHECK(width_of(glyph_of(static_cast<char>(byte))) == 1);
}

TEST_CASE("ribbon: a Chinese label is shortened at a character") {
    CHECK(bracket_label("报头", 22, 10) == " 报头: 22 ");
    CHECK(bracket_label("报头", 22, 6) == " 报头 ");
    CHECK(bracket_label("报头", 22, 2) == "报");
    CHECK(bracket_label("报头", 22, 1).empty());
}

TEST_CASE("ribbon: a label without room in its bracket is named below the drawing") {
    Ribbon ribbon{{"c", "c"},
                  {{{"length", "长度"}, "\x01\x02\x03\x04", 0},
                   {{"header", "报头"}, std::string(30, 'h'), 1},
                   {{"length", "长度"}, "\x01\x02\x03\x04", 0}},
                  {{plain("recv 1"), 38}}};
    const RibbonLayout layout = lay_out(ribbon, 64, 4);
    CHECK(legend(ribbon, layout, Language::English) == "above: length, header");
    CHECK(legend(ribbon, layout, Language::Chinese) == "上：长度、报头");
    CHECK(legend(two_sends_one_recv(), lay_out(two_sends_one_recv(), 64, 4), Language::English)
              .empty());
    ribbon.pieces.erase(ribbon.pieces.begin());
    ribbon.pieces.pop_back();
    CHECK(legend(ribbon, lay_out(ribbon, 64, 4), Language::English).empty());
}
