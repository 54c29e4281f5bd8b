#include "client/io/line_view.hpp"

#include "client/io/text_cells.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace frsh {
namespace {

constexpr std::string_view kSavePlace = "\x1b\x37";
constexpr std::string_view kRestorePlace = "\x1b\x38";
constexpr std::string_view kEraseRestOfRow = "\x1b[K";
constexpr std::string_view kEraseBelow = "\x1b[J";

// Returns the sequence that moves the cursor so many rows; nothing for 0, which means 1 to it.
std::string move(std::size_t rows, char direction) {
    return rows == 0 ? "" : "\x1b[" + std::to_string(rows) + direction;
}

// Returns the text with its controls shown as text, on one row.
std::string on_one_row(std::string_view text) {
    std::string row;
    for (std::size_t at = 0; at < text.size();) {
        const Cluster cluster = cluster_at(text, at);
        row += cluster.kind == Cluster::Kind::Tab ? " " : shown_form(text, at, cluster);
        at += cluster.size;
    }
    return row;
}

// Returns the longest beginning or end of a text that has at most so many cells.
std::string_view beginning_of(std::string_view text, unsigned cells) {
    std::size_t end = 0;
    for (unsigned used = 0; end < text.size();) {
        const Cluster cluster = cluster_at(text, end);
        used += cluster.width;
        if (used > cells) break;
        end += cluster.size;
    }
    return text.substr(0, end);
}
std::string_view end_of(std::string_view text, unsigned cells) {
    std::size_t begin = 0;
    for (unsigned total = cells_of(text); total > cells && begin < text.size();) {
        const Cluster cluster = cluster_at(text, begin);
        total -= cluster.width;
        begin += cluster.size;
    }
    return text.substr(begin);
}

}  // namespace

void LineView::set_size(unsigned columns, unsigned rows) {
    constexpr unsigned kFewestColumns = 4;
    columns_ = columns == 0 ? 80 : std::max(columns, kFewestColumns);
    height_ = rows == 0 ? 24 : std::max(rows, 2U);
}

std::string LineView::draw(const LineContent& content) {
    if (kind_ == Kind::Dumb) return draw_dumb(content);
    return draw_rows(lay_out(content, columns_));
}

std::string LineView::draw_rows(LineFrame frame) {
    // If the line is higher than the screen, the rows around the cursor are shown.
    if (frame.cursor_row < top_) top_ = frame.cursor_row;
    if (frame.cursor_row >= top_ + height_) top_ = frame.cursor_row - height_ + 1;
    if (frame.rows.size() <= height_) top_ = 0;
    const auto first = frame.rows.begin() + static_cast<std::ptrdiff_t>(top_);
    const auto count = std::min<std::size_t>(height_, frame.rows.size() - top_);
    std::vector<Row> rows(first, first + static_cast<std::ptrdiff_t>(count));
    const std::size_t cursor_row = frame.cursor_row - top_;

    const bool is_new = shown_.empty();
    const std::size_t before = std::max<std::size_t>(shown_.size(), 1);
    const auto same = std::mismatch(rows.begin(), rows.end(), shown_.begin(), shown_.end()).first;
    // The row of the cursor is always drawn: the terminal notes the place meanwhile.
    const auto changed = static_cast<std::size_t>(same - rows.begin());
    const std::size_t from = std::min({changed, cursor_row, before - 1});

    std::string out;
    if (rows.size() > before) {
        // Scrolls first, so that the saved place stays right.
        out += move(before - 1 - cursor_row_, 'B') + std::string(rows.size() - before, '\n');
        out += move(rows.size() - 1 - from, 'A');
    } else {
        out += cursor_row_ >= from ? move(cursor_row_ - from, 'A') : move(from - cursor_row_, 'B');
    }
    if (!is_new || rows.size() > before) out += '\r';
    for (std::size_t number = from; number < rows.size(); ++number) {
        const Row& row = rows[number];
        if (number == cursor_row) {
            out += row.bytes.substr(0, frame.cursor_byte);
            out += kSavePlace;
            out += row.bytes.substr(frame.cursor_byte);
        } else {
            out += row.bytes;
        }
        if (row.width < columns_) out += kEraseRestOfRow;
        if (!row.wraps && number + 1 < rows.size()) out += "\r\n";
    }
    if (rows.size() < before && rows.back().width < columns_) out += kEraseBelow;
    out += kRestorePlace;
    shown_ = std::move(rows);
    cursor_row_ = cursor_row;
    return out;
}

// Shows the part of the text around the cursor. The last column stays free: a character there
// would move some terminals on.
std::string LineView::draw_dumb(const LineContent& content) {
    const std::string plain = on_one_row(plain_prompt(content.prompt));
    const std::string prompt(end_of(plain, columns_ / 2));
    const unsigned room = columns_ - 1 - cells_of(prompt);
    std::string head = on_one_row(content.text.substr(0, content.cursor));
    head = end_of(head, room - std::min(room, 1U));
    const std::string tail = on_one_row(content.text.substr(content.cursor));
    const std::string_view rest = beginning_of(tail, room - cells_of(head));
    const unsigned width = cells_of(prompt) + cells_of(head) + cells_of(rest);
    std::string out = shown_.empty() ? "" : "\r";
    out += prompt + head + std::string(rest);
    if (dumb_width_ > width) out += std::string(dumb_width_ - width, ' ');
    if (!rest.empty() || dumb_width_ > width) out += "\r" + prompt + head;
    dumb_width_ = width;
    shown_.resize(1);
    return out;
}

std::string LineView::resize(const LineContent& content, unsigned columns, unsigned rows) {
    set_size(columns, rows);
    if (kind_ == Kind::Dumb) {
        dumb_width_ = std::min(dumb_width_, columns_ - 1);
        return draw_dumb(content);
    }
    // The terminal has wrapped the rows of the line as they would be laid out now.
    const LineFrame frame = lay_out(content, columns_);
    cursor_row_ =
        std::min<std::size_t>(frame.cursor_row - std::min(top_, frame.cursor_row), height_ - 1);
    std::string out = to_first_row();
    out += kEraseBelow;
    forget();
    return out + draw_rows(frame);
}

std::string LineView::to_first_row() const {
    return "\r" + move(cursor_row_, 'A');
}

std::string LineView::erase() {
    std::string out;
    if (kind_ == Kind::Dumb) {
        out = "\r" + std::string(dumb_width_, ' ') + "\r";
    } else {
        out = to_first_row();
        out += kEraseBelow;
    }
    forget();
    return out;
}

std::string LineView::leave(const LineContent& content) {
    LineContent last = content;
    last.cursor = last.text.size();
    last.suggestion = {};
    last.note = {};
    last.match_size = 0;
    last.below.clear();
    std::string out = draw(last);
    forget();
    return out;
}

std::string LineView::clear_screen() {
    forget();
    return kind_ == Kind::Dumb ? "\r\n" : "\x1b[H\x1b[2J";
}

void LineView::forget() {
    shown_.clear();
    cursor_row_ = 0;
    top_ = 0;
    dumb_width_ = 0;
}

}  // namespace frsh
