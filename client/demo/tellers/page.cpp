#include "client/demo/tellers/page.hpp"

#include "client/demo/drawing/drawing.hpp"
#include "client/demo/drawing/ribbon.hpp"
#include "client/demo/drawing/style.hpp"
#include "common/base/error.hpp"
#include "common/base/hex.hpp"
#include "common/sys/fd.hpp"

#include <cstdio>
#include <string>
#include <utility>
#include <variant>

#include <fcntl.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kHexBytes = 256;

const Text kClient{"client", "客户端"};
const Text kServer{"server", "服务器"};

std::string attribute(const char* name, const std::string& value) {
    return std::string(" data-") + name + "=\"" + escape_html(value) + "\"";
}

// Returns what the page in the browser needs to light the bytes of a packet, and to replay the
// ribbon: "KIND MS BEGIN END;" for each moment, "COLOUR SIZE NAME;" for each piece.
std::string recorded(const Ribbon& ribbon, std::size_t bytes_per_cell, Language language) {
    if (ribbon.flow.empty()) return {};
    std::string attributes = attribute("flow", ribbon.flow) +
                             attribute("base", std::to_string(ribbon.base)) +
                             attribute("cell", std::to_string(bytes_per_cell));
    if (ribbon.moments.empty()) return attributes;
    std::string moments;
    for (const Moment& moment : ribbon.moments) {
        char text[96];
        std::snprintf(text, sizeof text, "%c %.4f %zu %zu;",
                      "spar"[static_cast<std::size_t>(moment.kind)], moment.milliseconds,
                      moment.begin, moment.end);
        moments += text;
    }
    std::string pieces;
    for (const Piece& piece : ribbon.pieces) {
        pieces += std::to_string(piece.colour % 6) + " " + std::to_string(piece.bytes.size()) +
                  " " + piece.label.in(language) + ";";
    }
    return attributes + attribute("moments", moments) + attribute("pieces", pieces);
}

}  // namespace

std::string Page::text(const Text& what) const {
    return escape_html(what.in(language_));
}

std::string Page::element(const char* name, const Text& content) const {
    return std::string("<") + name + ">" + text(content) + "</" + name + ">\n";
}

void Page::in(Open list) {
    if (list == open_) return;
    if (open_ == Open::Calls) body_ += "</div>\n";
    if (open_ == Open::Claims || open_ == Open::Sources) body_ += "</ul>\n";
    open_ = list;
    if (list == Open::Calls) {
        body_ += "<div class=\"calls\">\n<div class=\"side client\">" + text(kClient) +
                 "</div>\n<div class=\"side server\">" + text(kServer) + "</div>\n";
    } else if (list == Open::Claims) {
        body_ += "<ul class=\"claims\">\n";
    } else if (list == Open::Sources) {
        body_ += element("h2", {"In frsh itself", "在 frsh 里，这件事在哪里"});
        body_ += "<ul class=\"sources\">\n";
    }
}

void Page::tell(const Event& event) {
    std::visit([this](const auto& what) { show(what); }, event);
}

void Page::show(const Title& title) {
    title_ = title_.empty() ? title.title.in(language_) : "frsh-demo";
    body_ += "<section class=\"lesson\">\n<h1><small>frsh-demo " + escape_html(title.lesson) +
             "</small>" + text(title.title) + "</h1>\n<p class=\"question\">" +
             text(title.question) + "</p>\n";
}

void Page::show(const Heading& heading) {
    in(Open::Nothing);
    body_ += element("h2", heading.text);
}

void Page::show(const Paragraph& paragraph) {
    in(Open::Nothing);
    body_ += element("p", paragraph.text);
}

void Page::show(const Call& call) {
    in(Open::Calls);
    const bool is_client = call.side == Side::Client;
    // Put an empty cell beside the call, so that later calls are lower on both sides.
    if (!is_client) body_ += "<div></div>\n";
    body_ += std::string("<div class=\"call ") + (is_client ? "client" : "server") + "\">" +
             escape_html(call.call);
    if (!call.result.empty()) body_ += " <b>= " + escape_html(call.result) + "</b>";
    if (!call.note.is_empty()) body_ += "<span>" + text(call.note) + "</span>";
    body_ += "</div>\n";
    if (is_client) body_ += "<div></div>\n";
}

void Page::show(const Packet& packet) {
    in(Open::Calls);
    if (packet.more > 0) {
        body_ += "<div class=\"packet more\">" + text(more_packets(packet)) + "</div>\n";
        return;
    }
    const bool to_server = packet.from == Side::Client;
    char time[32];
    std::snprintf(time, sizeof time, "%.3f ms", packet.milliseconds);
    std::string bytes;
    if (packet.end > packet.begin) {
        bytes = " data-flow=\"" + packet.flow + "\" data-begin=\"" + std::to_string(packet.begin) +
                "\" data-end=\"" + std::to_string(packet.end) + "\"";
    }
    body_ += std::string("<div class=\"packet") + (packet.captured ? " captured\"" : "\"") + bytes +
             ">" + (to_server ? "" : "◀") + "<i></i><span>" + escape_html(packet.label) + " " +
             (packet.captured ? time : text(kDrawn)) + "</span><i></i>" + (to_server ? "▶" : "") +
             "</div>\n";
}

void Page::show(const Ribbon& ribbon) {
    in(Open::Nothing);
    const std::size_t cell = lay_out(ribbon, 56, 4).bytes_per_cell;
    body_ += "<figure" + recorded(ribbon, cell, language_) + ">\n" +
             element("figcaption", ribbon.caption) + draw(ribbon, language_);
    if (cell > 1) {
        body_ += "<p class=\"legend\">" +
                 text(fill({"one cell is {0} bytes", "一格是 {0} 字节"}, cell)) + "</p>\n";
    }
    const std::string stream = stream_of(ribbon);
    body_ += "<details>" + element("summary", {"hex", "十六进制"}) + "<pre>";
    for (const std::string& line : hex_dump(stream, kHexBytes))
        body_ += escape_html(line) + "\n";
    if (stream.size() > kHexBytes) {
        body_ += "... +" + std::to_string(stream.size() - kHexBytes) + "\n";
    }
    body_ += "</pre></details>\n</figure>\n";
}

void Page::show(const Table& table) {
    in(Open::Nothing);
    body_ += "<table>\n<tr>";
    for (const Text& cell : table.head)
        body_ += "<th>" + text(cell) + "</th>";
    body_ += "</tr>\n";
    for (const auto& row : table.rows) {
        body_ += "<tr>";
        for (const Text& cell : row)
            body_ += "<td>" + text(cell) + "</td>";
        body_ += "</tr>\n";
    }
    body_ += "</table>\n";
}

void Page::show(const Timeline& timeline) {
    in(Open::Nothing);
    const Text waits{"waits for an answer", "等待应答"};
    const Text served{"is served", "正在被服务"};
    const Text idle{"connected, says nothing", "已连接，一言不发"};
    body_ += "<figure>\n" + element("figcaption", timeline.caption) + draw(timeline, language_) +
             "<p class=\"legend\"><i class=\"waiting\"></i>" + text(waits) +
             "<i class=\"served\"></i>" + text(served) + "<i class=\"idle\"></i>" + text(idle) +
             "</p>\n</figure>\n";
}

void Page::show(const Claim& claim) {
    in(Open::Claims);
    body_ +=
        std::string(claim.held ? "<li>" : "<li class=\"broken\">") + text(claim.text) + "</li>\n";
}

void Page::show(const Source& source) {
    in(Open::Sources);
    body_ += "<li><code class=\"place\">" + escape_html(source.place) + "</code><code>" +
             escape_html(source.line) + "</code>" + text(source.text) + "</li>\n";
}

void Page::show(const Question& question) {
    in(Open::Nothing);
    body_ += "<details class=\"predict\">\n<summary>" + text({"Predict: ", "先猜："}) +
             text(question.text) + "</summary>\n<ol>\n";
    for (std::size_t i = 0; i < question.choices.size(); ++i) {
        body_ += std::string(i == question.right ? "<li class=\"right\">" : "<li>") +
                 text(question.choices[i]) + "</li>\n";
    }
    body_ += "</ol>\n" + element("p", question.why) + "</details>\n";
}

void Page::show(const Code& code) {
    in(Open::Nothing);
    body_ += "<details class=\"code\">\n<summary>" + escape_html(code.name) + " " +
             text(code.text) + "</summary>\n<pre>" + escape_html(code.lines) + "</pre></details>\n";
}

void Page::show(const Note& note) {
    in(Open::Nothing);
    body_ += "<div class=\"note\">\n<p><b>" + std::to_string(note.number) + " " +
             text({"The notes say: ", "讲义里说："}) + "</b>" + text(note.says) + "</p>\n";
    if (!note.precisely.is_empty()) {
        body_ += "<p class=\"precisely\"><b>" + text({"More precisely: ", "更准确地说："}) +
                 "</b>" + text(note.precisely) + "</p>\n";
    }
    body_ += "<p class=\"legend\">" + text(note.where) + "</p>\n</div>\n";
}

void Page::show(const Verdict& verdict) {
    in(Open::Nothing);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f", verdict.seconds);
    const Text good =
        fill({verdict.claims == 1 ? "{0} claim, and it happened just now ({1} s)."
                                  : "{0} claims, and all of them happened just now ({1} s).",
              "{0} 条断言，刚才全部真实发生（{1} 秒）。"},
             verdict.claims, seconds);
    const Text bad = fill({"{0} of {1} claims did NOT happen.", "{1} 条断言中有 {0} 条没有发生。"},
                          verdict.broken, verdict.claims);
    body_ += verdict.broken == 0 ? "<p class=\"verdict\">" + text(good) + "</p>\n"
                                 : "<p class=\"verdict broken\">" + text(bad) + "</p>\n";
    body_ += "</section>\n";
}

std::string Page::html() const {
    const bool is_chinese = language_ == Language::Chinese;
    return std::string("<!DOCTYPE html>\n<html lang=\"") + (is_chinese ? "zh-CN" : "en") +
           "\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
           escape_html(title_) + "</title>\n<style>" + kStyle +
           "</style>\n</head>\n<body>\n<main>\n" + body_ + "</main>\n</body>\n</html>\n";
}

std::string Page::take() {
    in(Open::Nothing);
    return std::exchange(body_, {});
}

void Page::write_to(const std::string& file) const {
    const Fd out(check(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
                       "open " + file));
    write_all(out.get(), html());
}

}  // namespace frsh::demo
