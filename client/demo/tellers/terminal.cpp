#include "client/demo/tellers/terminal.hpp"

#include "client/demo/drawing/cells.hpp"
#include "client/demo/drawing/ribbon.hpp"
#include "client/demo/drawing/table.hpp"
#include "client/demo/tellers/output.hpp"
#include "client/demo/tellers/terminal_style.hpp"
#include "common/base/error.hpp"
#include "common/base/hex.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <time.h>

namespace frsh::demo {
namespace {

constexpr std::array kSideStyles = {"36", "35"};
// The colours of the pieces: black text on a light background, readable on dark and on light
// terminals.
constexpr std::array kPieceStyles = {"38;5;16;48;5;117", "38;5;16;48;5;215", "38;5;16;48;5;150",
                                     "38;5;16;48;5;183", "38;5;16;48;5;223", "38;5;16;48;5;210"};
constexpr std::size_t kServerColumn = 34;
constexpr std::size_t kRibbonCells = 64;
constexpr std::size_t kRibbonRows = 4;
constexpr std::size_t kShownBytes = 64;
constexpr std::size_t kTimelineCells = 44;

const Text kClientName{"client", "客户端"};
const Text kServerName{"server", "服务器"};

std::string repeat(std::string_view glyph, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += glyph;
    return text;
}

std::string format(const char* pattern, double value) {
    char text[64];
    std::snprintf(text, sizeof text, pattern, value);
    return text;
}

struct Corners {
    const char* left;
    const char* right;
    const char* single;
};
constexpr Corners kAbove{"┌", "┐", "╷"};
constexpr Corners kBelow{"└", "┘", "╵"};

// Returns a bracket for its cells: "┌ send A: 9 ─┐". A side that continues in another row is open.
std::string bracket(const Segment& segment, const std::string& label, const char* fill,
                    const Corners& corners) {
    const std::size_t cells = segment.end - segment.begin;
    if (cells == 1) return segment.starts && segment.finishes ? corners.single : fill;
    const std::size_t used = width_of(label);
    const std::size_t inside = cells - 2;
    const std::size_t left = inside > used ? (inside - used) / 2 : 0;
    return std::string(segment.starts ? corners.left : fill) + repeat(fill, left) + label +
           repeat(fill, inside - std::min(inside, left + used)) +
           (segment.finishes ? corners.right : fill);
}

}  // namespace

std::string Terminal::styled(std::string_view text, const char* style) const {
    if (!options_.colour) return std::string(text);
    return "\x1b[" + std::string(style) + "m" + std::string(text) + "\x1b[0m";
}

void Terminal::line(const std::string& text) {
    write_out(text + "\n");
    if (options_.step) part_ += text + "\n";
    after_blank_ = text.empty();
    if (options_.pace <= 0 || text.empty()) return;
    const double whole = std::floor(options_.pace);
    const timespec pause{static_cast<time_t>(whole),
                         static_cast<long>((options_.pace - whole) * 1e9)};
    ::nanosleep(&pause, nullptr);
}

void Terminal::blank() {
    if (!after_blank_) line();
}

// Puts `first` before the first line, and as many spaces before the others.
void Terminal::paragraph(const std::string& text, const std::string& first, const char* style) {
    const std::size_t indent = width_of(first);
    std::string before = first;
    for (const std::string& part : wrap(text, options_.width - 2 - indent)) {
        line(styled(before, style) + part);
        before = std::string(indent, ' ');
    }
}

void Terminal::tell(const Event& event) {
    std::visit([this](const auto& what) { show(what); }, event);
    last_event_ = event.index();
}

void Terminal::show(const Title& title) {
    blank();
    sides_shown_ = false;
    asked_ = 0;
    foreseen_ = 0;
    std::string name(" ");
    name.append(std::to_string(title.number)).append("  ").append(title.lesson).append(" ");
    line(styled(repeat("━", 3) + name + repeat("━", options_.width - 5 - width_of(name)), kBold));
    paragraph(title.title.in(options_.language), "  ", kBold);
    paragraph(title.question.in(options_.language), "  ", kDim);
    line();
}

void Terminal::show(const Heading& heading) {
    blank();
    wait_for_key();
    sides_shown_ = false;
    const std::string text = heading.text.in(options_.language);
    for (const std::string& part : wrap(text, options_.width - 5))
        line(styled("▌ " + part, kHeading));
    line();
}

void Terminal::show(const Paragraph& what) {
    if (last_event_ != Event(Heading{}).index()) blank();
    paragraph(what.text.in(options_.language), "  ", "0");
}

void Terminal::sides() {
    if (sides_shown_) return;
    sides_shown_ = true;
    line("  " + styled(pad(kClientName.in(options_.language), kServerColumn - 2), kSideStyles[0]) +
         styled(kServerName.in(options_.language), kSideStyles[1]));
}

void Terminal::show(const Call& call) {
    if (last_event_ == Event(Paragraph{}).index() || last_event_ == Event(Claim{}).index()) blank();
    sides();
    const bool is_server = call.side == Side::Server;
    const std::size_t column = is_server ? kServerColumn : 2;
    const std::size_t room = options_.width - 1 - column;
    const std::string result = call.result.empty() ? "" : " = " + call.result;
    const std::string text = width_of(call.call + result) <= room
                                 ? call.call
                                 : clip(call.call, room - std::min(room, width_of(result)));
    line(std::string(column, ' ') + styled(text, kSideStyles[static_cast<std::size_t>(call.side)]) +
         styled(result, kBold));
    const std::string& note = call.note.in(options_.language);
    if (note.empty()) return;
    for (const std::string& part : wrap(note, room - 2))
        line(std::string(column + 2, ' ') + styled(part, kDim));
}

void Terminal::show(const Packet& packet) {
    sides();
    if (packet.more > 0) {
        const std::string text = more_packets(packet).in(options_.language);
        return line("     " + styled(text, kDim));
    }
    const std::size_t length = packet.captured ? 66 : 36;
    const std::string state =
        packet.captured ? format("%.3f ms", packet.milliseconds) : kDrawn.in(options_.language);
    const std::string label = " " + packet.label + "  " + state + " ";
    const std::size_t rest = length - 1 - std::min(length - 1, width_of(label));
    const std::string body = repeat("─", rest / 2) + label + repeat("─", rest - rest / 2);
    line("     " + styled(packet.from == Side::Client ? body + "▶" : "◀" + body, kDim));
}

void Terminal::hex(const Ribbon& ribbon) {
    const std::string stream = stream_of(ribbon);
    for (const std::string& row : hex_dump(stream, kShownBytes))
        line("  " + styled(row, kDim));
    if (stream.size() > kShownBytes) {
        line("  " + styled("... " + std::to_string(stream.size() - kShownBytes) + " more", kDim));
    }
}

void Terminal::show(const Ribbon& ribbon) {
    blank();
    paragraph(ribbon.caption.in(options_.language), "  ", kBold);
    const RibbonLayout layout = lay_out(ribbon, kRibbonCells, kRibbonRows);
    constexpr std::array<const char*, 3> kFills = {"─", ".", "x"};
    for (const RibbonRow& row : layout.rows) {
        const std::string margin(9, ' ');
        std::string above;
        for (const Segment& segment : row.pieces) {
            const Piece& piece = ribbon.pieces[segment.index];
            const std::size_t cells = segment.end - segment.begin;
            above += bracket(segment,
                             cells < 3 ? ""
                                       : bracket_label(piece.label.in(options_.language),
                                                       piece.bytes.size(), cells - 2),
                             "─", kAbove);
        }
        std::string bytes;
        for (const Cell& cell : row.cells) {
            const std::size_t colour = ribbon.pieces[cell.piece].colour;
            bytes += styled(cell.glyph, kPieceStyles[colour % kPieceStyles.size()]);
        }
        std::string below;
        for (const Segment& segment : row.takes) {
            const Take& take = ribbon.takes[segment.index];
            const std::size_t cells = segment.end - segment.begin;
            // Leave a gap before the bracket if the bytes there fill less than a cell.
            below += std::string(segment.begin - std::min(segment.begin, width_of(below)), ' ');
            below += bracket(
                segment,
                cells < 3 ? ""
                          : bracket_label(take.label.in(options_.language), take.size, cells - 2),
                kFills[static_cast<std::size_t>(take.kind)], kBelow);
        }
        char offset[16];
        std::snprintf(offset, sizeof offset, "%7zu  ", row.offset);
        line(margin + above);
        line(styled(offset, kDim) + bytes);
        if (!row.takes.empty()) line(margin + below);
    }
    if (layout.bytes_per_cell > 1) {
        const Text scale =
            fill({"one cell is {0} bytes", "一格是 {0} 字节"}, layout.bytes_per_cell);
        line(std::string(9, ' ') + styled(scale.in(options_.language), kDim));
    }
    const std::string names = legend(ribbon, layout, options_.language);
    if (!names.empty()) line(std::string(9, ' ') + styled(names, kDim));
    if (options_.hex) hex(ribbon);
    blank();
}

void Terminal::show(const Table& table) {
    blank();
    bool is_head = true;
    for (const std::string& row : table_lines(table, options_.language, options_.width - 4)) {
        line("  " + (is_head ? styled(row, kBold) : row));
        is_head = false;
    }
    blank();
}

void Terminal::show(const Timeline& timeline) {
    blank();
    paragraph(timeline.caption.in(options_.language), "  ", kBold);
    double last = 0;
    std::size_t margin = 0;
    for (const Lane& lane : timeline.lanes) {
        margin = std::max(margin, width_of(lane.label.in(options_.language)));
        for (const Span& span : lane.spans)
            last = std::max(last, span.end);
    }
    const auto cell = [&](double time) {
        return static_cast<std::size_t>(time / std::max(last, 1e-9) *
                                        static_cast<double>(kTimelineCells));
    };
    constexpr std::array<const char*, 3> kGlyphs = {"░", "█", "─"};
    for (const Lane& lane : timeline.lanes) {
        std::vector<std::size_t> kinds(kTimelineCells + 1, kGlyphs.size());
        for (const Span& span : lane.spans) {
            for (std::size_t i = cell(span.begin); i <= cell(span.end) && i <= kTimelineCells; ++i)
                kinds[i] = static_cast<std::size_t>(span.kind);
        }
        std::string bar;
        for (const std::size_t kind : kinds)
            bar += kind < kGlyphs.size() ? kGlyphs[kind] : " ";
        while (bar.ends_with(' '))
            bar.pop_back();
        line("  " + pad(lane.label.in(options_.language), margin + 2) + bar);
    }
    line(std::string(margin + 4, ' ') + pad("0", kTimelineCells - 5) +
         format("%6.0f ms", last * 1000));
    const Text legend{"░ waits for an answer   █ is served   ─ connected, says nothing",
                      "░ 等待应答   █ 正在被服务   ─ 已连接，一言不发"};
    line(std::string(margin + 4, ' ') + styled(legend.in(options_.language), kDim));
    blank();
}

void Terminal::show(const Claim& claim) {
    if (last_event_ != Event(Claim{}).index()) blank();
    paragraph(claim.text.in(options_.language), claim.held ? "  ✓ " : "  ✗ ",
              claim.held ? kGood : kBad);
}

void Terminal::show(const Source& source) {
    if (last_event_ != Event(Source{}).index()) {
        blank();
        wait_for_key();
        const Text head{"In frsh itself:", "在 frsh 里，这件事在："};
        line("  " + styled(head.in(options_.language), kBold));
    }
    line("    " + styled(clip(source.place, options_.width - 6), kHeading));
    line("      " + styled(clip(source.line, options_.width - 8), kDim));
    paragraph(source.text.in(options_.language), "      ", "0");
}

void Terminal::show(const Verdict& verdict) {
    blank();
    const std::string seconds = format("%.1f", verdict.seconds);
    if (verdict.broken == 0) {
        const Text good = fill(
            {verdict.claims == 1 ? "{0}: {1} claim, and it happened just now ({2} s)."
                                 : "{0}: {1} claims, and all of them happened just now ({2} s).",
             "{0}：{1} 条断言，刚才全部真实发生（{2} 秒）。"},
            verdict.lesson, verdict.claims, seconds);
        line(styled("  " + good.in(options_.language), kGood));
    } else {
        const Text bad = fill({"{0}: {1} of {2} claims did NOT happen (marked ✗ above).",
                               "{0}：{2} 条断言中有 {1} 条没有发生（见上面的 ✗）。"},
                              verdict.lesson, verdict.broken, verdict.claims);
        line(styled("  " + bad.in(options_.language), kBad));
    }
    if (asked_ > 0) {
        const Text score =
            fill({"You predicted {0} of {1}.", "你猜对了 {1} 题中的 {0} 题。"}, foreseen_, asked_);
        line("  " + styled(score.in(options_.language), kBold));
    }
    line();
}

}  // namespace frsh::demo
