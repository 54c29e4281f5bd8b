#include "client/io/line_layout.hpp"

#include "client/io/text_cells.hpp"

#include <algorithm>
#include <utility>

namespace frsh {
namespace {

constexpr unsigned kTabStop = 8;
constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::string_view kMatch = "\x1b[7m";
constexpr char kNoWidth = '\1';

// Fills rows from left to right.
class RowFiller {
  public:
    explicit RowFiller(unsigned columns) : columns_(columns) { frame_.rows.emplace_back(); }

    void add_without_width(std::string_view bytes) { row().bytes += bytes; }

    void set_style(std::string_view style) {
        if (style == style_) return;
        row().bytes += style.empty() ? kPlain : style;
        style_ = style;
    }

    // Adds the cluster at this offset of a text.
    void add(std::string_view text, std::size_t at, const Cluster& cluster) {
        if (cluster.kind == Cluster::Kind::Newline) return end_row(false);
        if (cluster.kind == Cluster::Kind::Tab) {
            const unsigned stop = (row().width / kTabStop + 1) * kTabStop;
            return add_cells(std::string(std::min(stop, columns_) - row().width, ' '));
        }
        const std::string form = shown_form(text, at, cluster);
        if (cluster.kind == Cluster::Kind::Escaped) return add_cells(form);
        make_room(cluster.width);
        row().bytes += form;
        row().width += cluster.width;
    }
    void add_all(std::string_view text) {
        for (std::size_t at = 0; at < text.size();) {
            const Cluster cluster = cluster_at(text, at);
            add(text, at, cluster);
            at += cluster.size;
        }
    }
    // Goes on to the next row if this one has no room for so many cells.
    void make_room(unsigned width) {
        if (row().width + width > columns_) end_row(true);
    }
    void end_row(bool wraps) {
        const std::string_view style = style_;
        set_style("");
        row().wraps = wraps;
        frame_.rows.emplace_back();
        set_style(style);
    }
    void mark_cursor() {
        const std::string_view style = style_;
        set_style("");
        frame_.cursor_row = frame_.rows.size() - 1;
        frame_.cursor_byte = row().bytes.size();
        set_style(style);
    }
    // A terminal goes on to the next row only with the next character.
    void leave_full_row() {
        if (row().width >= columns_) end_row(false);
    }

    [[nodiscard]] Row& row() { return frame_.rows.back(); }
    [[nodiscard]] LineFrame& frame() { return frame_; }

  private:
    // Adds bytes that take a cell each.
    void add_cells(const std::string& bytes) {
        for (const char byte : bytes) {
            make_room(1);
            row().bytes += byte;
            ++row().width;
        }
    }

    unsigned columns_;
    LineFrame frame_;
    std::string_view style_;
};

void add_prompt(RowFiller& rows, std::string_view prompt) {
    bool has_width = true;
    while (!prompt.empty()) {
        const std::size_t end = std::min(prompt.find(kNoWidth), prompt.size());
        const std::string_view piece = prompt.substr(0, end);
        if (has_width) {
            rows.add_all(piece);
        } else {
            rows.add_without_width(piece);
        }
        has_width = !has_width;
        prompt.remove_prefix(std::min(end + 1, prompt.size()));
    }
}

void add_text(RowFiller& rows, const LineContent& content) {
    bool has_cursor = true;  // To be marked.
    const std::string_view text = content.text;
    for (std::size_t at = 0; at < text.size();) {
        const Cluster cluster = cluster_at(text, at);
        const bool is_match = at >= content.match && at < content.match + content.match_size;
        if (cluster.kind == Cluster::Kind::Text) rows.make_room(cluster.width);
        if (has_cursor && content.cursor < at + cluster.size) {
            rows.leave_full_row();
            rows.mark_cursor();
            has_cursor = false;
        }
        rows.set_style(is_match ? kMatch : "");
        rows.add(text, at, cluster);
        at += cluster.size;
    }
    rows.set_style("");
    if (!has_cursor) return;
    rows.leave_full_row();
    rows.mark_cursor();
}

// Adds a text on a row of its own, cut to the width.
void add_below(RowFiller& rows, std::string_view text, unsigned columns) {
    rows.end_row(false);
    for (std::size_t at = 0; at < text.size();) {
        const Cluster cluster = cluster_at(text, at);
        const bool is_shown =
            cluster.kind == Cluster::Kind::Text || cluster.kind == Cluster::Kind::Escaped;
        if (!is_shown || rows.row().width + cluster.width >= columns) return;
        rows.add(text, at, cluster);
        at += cluster.size;
    }
}

void add_note(Row& row, std::string_view note, std::string_view grey, unsigned columns) {
    const unsigned width = cells_of(note);
    constexpr unsigned kGap = 3;
    if (note.empty() || row.wraps || row.width + kGap + width >= columns) return;
    row.bytes += std::string(columns - 1 - width - row.width, ' ');
    row.bytes += std::string(grey) + std::string(note) + std::string(kPlain);
    row.width = columns - 1;
}

}  // namespace

LineFrame lay_out(const LineContent& content, unsigned columns) {
    RowFiller rows(columns);
    // Faint is no colour, and is shown grey by a terminal that knows it.
    const std::string_view grey = content.has_colour ? "\x1b[90m" : "\x1b[2m";
    add_prompt(rows, content.prompt);
    add_text(rows, content);
    if (!content.suggestion.empty()) {
        const std::size_t newline = content.suggestion.find('\n');
        rows.set_style(grey);
        rows.add_all(content.suggestion.substr(0, newline));
        if (newline != std::string_view::npos) rows.add_all(" ...");
        rows.set_style("");
    }
    add_note(rows.frame().rows.front(), content.note, grey, columns);
    for (const std::string& text : content.below)
        add_below(rows, text, columns);
    rows.leave_full_row();
    return std::move(rows.frame());
}

std::string plain_prompt(std::string_view prompt) {
    std::string plain;
    bool has_width = true;
    for (const char c : prompt) {
        if (c == kNoWidth) {
            has_width = !has_width;
        } else if (has_width) {
            plain += c;
        }
    }
    return plain;
}

}  // namespace frsh
