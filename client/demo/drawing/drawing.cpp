#include "client/demo/drawing/drawing.hpp"

#include "client/demo/drawing/cells.hpp"
#include "client/demo/drawing/ribbon.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace frsh::demo {
namespace {

constexpr std::size_t kCells = 56;
constexpr std::size_t kRows = 4;
constexpr std::size_t kColours = 6;
constexpr double kCellWidth = 15;
constexpr double kCellHeight = 26;
constexpr double kLeft = 56;   // Room for the offsets, left of a row.
constexpr double kAbove = 24;  // Room for the sent pieces, above a row.
constexpr double kRowHeight = kAbove + kCellHeight + 38;
constexpr double kLabelCell = 7.6;  // Width of a label's character, in units of the drawing.

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

std::string opening(double width, double height, const std::string& label) {
    return "<svg viewBox=\"0 0 " + number(width) + " " + number(height) +
           "\" role=\"img\" aria-label=\"" + escape_html(label) + "\">\n";
}

std::string text_at(double x, double y, const char* style, const std::string& text) {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + style + "\">" +
           escape_html(text) + "</text>\n";
}

std::string colour_class(std::size_t colour) {
    return std::string("c") + std::to_string(colour % kColours);
}

std::string label_for(std::string_view label, std::size_t size, const Segment& segment) {
    if (segment.end - segment.begin < 2) return "";
    const double width = static_cast<double>(segment.end - segment.begin) * kCellWidth;
    const auto room = static_cast<std::size_t>(width / kLabelCell);
    const std::string text = bracket_label(label, size, room);
    const std::size_t first = text.find_first_not_of(' ');
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

double x_of(std::size_t cell) {
    return kLeft + static_cast<double>(cell) * kCellWidth;
}

void draw_cells(std::string& out, const Ribbon& ribbon, const RibbonRow& row, double y,
                Language language) {
    for (const Segment& segment : row.pieces) {
        const Piece& piece = ribbon.pieces[segment.index];
        const double x = x_of(segment.begin);
        const double width = x_of(segment.end) - x;
        out += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) +
               "\" height=\"" + number(kCellHeight) + "\" rx=\"4\" class=\"" +
               colour_class(piece.colour) + "\"/>\n";
        out += text_at(x + width / 2, y - 7, "lab",
                       label_for(piece.label.in(language), piece.bytes.size(), segment));
    }
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
        out += text_at(x_of(i) + kCellWidth / 2, y + 18, "byte", row.cells[i].glyph);
    }
}

// Draws a bracket below the stream. An end that continues in another row stays open.
void draw_take(std::string& out, const Take& take, const Segment& segment, double y,
               Language language) {
    constexpr std::array<const char*, 3> kStyles = {"got", "got wait", "got lost"};
    const double left = x_of(segment.begin) + 1.5;
    const double right = x_of(segment.end) - 1.5;
    std::string path = std::string("M") + number(left) + " ";
    if (segment.starts) path += number(y) + " V";
    path += number(y + 8);
    path += " H" + number(right);
    if (segment.finishes) path += " V" + number(y);
    out += "<path d=\"" + path + "\" class=\"" + kStyles[static_cast<std::size_t>(take.kind)] +
           "\"/>\n";
    out += text_at((left + right) / 2, y + 23, "lab",
                   label_for(take.label.in(language), take.size, segment));
}

}  // namespace

std::string escape_html(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

std::string draw(const Ribbon& ribbon, Language language) {
    const RibbonLayout layout = lay_out(ribbon, kCells, kRows);
    std::size_t widest = 0;
    for (const RibbonRow& row : layout.rows)
        widest = std::max(widest, row.cells.size());
    // At least half of the full width, so that a short stream is not enlarged.
    const double width = x_of(std::max(widest, kCells)) + 4;
    const double height = kRowHeight * static_cast<double>(layout.rows.size());
    std::string out = opening(width, height, ribbon.caption.in(language));
    double y = kAbove;
    for (const RibbonRow& row : layout.rows) {
        out += text_at(kLeft - 8, y + 18, "off", std::to_string(row.offset));
        draw_cells(out, ribbon, row, y, language);
        for (const Segment& segment : row.takes)
            draw_take(out, ribbon.takes[segment.index], segment, y + kCellHeight + 4, language);
        y += kRowHeight;
    }
    return out + "</svg>\n";
}

std::string draw(const Timeline& timeline, Language language) {
    constexpr double kWidth = 800;
    constexpr double kMargin = 120;
    constexpr double kLane = 40;
    constexpr std::array<const char*, 3> kStyles = {"waiting", "served", "idle"};
    double last = 1e-9;
    for (const Lane& lane : timeline.lanes) {
        for (const Span& span : lane.spans)
            last = std::max(last, span.end);
    }
    const double lanes = static_cast<double>(timeline.lanes.size());
    std::string out = opening(kWidth, lanes * kLane + 30, timeline.caption.in(language));
    const auto x = [&](double time) { return kMargin + time / last * (kWidth - kMargin - 20); };
    double y = 4;
    for (const Lane& lane : timeline.lanes) {
        out += text_at(kMargin - 12, y + 21, "off", lane.label.in(language));
        for (const Span& span : lane.spans) {
            out += "<rect x=\"" + number(x(span.begin)) + "\" y=\"" + number(y) + "\" width=\"" +
                   number(std::max(x(span.end) - x(span.begin), 6.0)) +
                   "\" height=\"30\" rx=\"4\" class=\"" +
                   kStyles[static_cast<std::size_t>(span.kind)] + "\"/>\n";
        }
        y += kLane;
    }
    char end[32];
    std::snprintf(end, sizeof end, "%.0f ms", last * 1000);
    out += "<path d=\"M" + number(kMargin) + " " + number(y) + " H" + number(kWidth - 20) +
           "\" class=\"axis\"/>\n";
    out += text_at(kMargin, y + 18, "lab", "0") + text_at(kWidth - 40, y + 18, "lab", end);
    return out + "</svg>\n";
}

}  // namespace frsh::demo
