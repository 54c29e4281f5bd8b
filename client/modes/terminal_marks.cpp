#include "client/modes/terminal_marks.hpp"

#include "common/base/text.hpp"

#include <cstdlib>

#include <unistd.h>

namespace frsh {
namespace {

// xterm's stack of titles.
constexpr std::string_view kSaveTitle = "\x1b[22;2t";
constexpr std::string_view kRestoreTitle = "\x1b[23;2t";

std::string mark(std::string_view text) {
    return "\x1b]" + std::string(text) + "\a";
}

bool is_for_marks() {
    const char* const term = std::getenv("TERM");
    return has_escapes() && takes_marks(term) && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace

bool takes_marks(std::string_view term) {
    return !term.starts_with("linux") && !term.starts_with("vt") && !term.starts_with("cons");
}

std::string url_path(std::string_view path) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~";
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string url;
    for (const char c : path) {
        if (kPlain.find(c) != std::string_view::npos) {
            url += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        url += '%';
        url += kDigits[byte / 16];
        url += kDigits[byte % 16];
    }
    return url;
}

TerminalMarks::TerminalMarks(Screen& screen) : screen_(screen), takes_marks_(is_for_marks()) {
    say(kSaveTitle);
}

TerminalMarks::~TerminalMarks() {
    say(kRestoreTitle);
}

void TerminalMarks::say(std::string_view bytes) {
    if (takes_marks_) screen_.say(bytes);
}

void TerminalMarks::begin_prompt(const std::string& title, std::string_view host,
                                 std::string_view folder) {
    say(mark("2;" + escape_controls(title)) +
        mark("7;file://" + url_path(host) + url_path(folder)) + mark("133;A"));
}

std::string TerminalMarks::prompt_end() const {
    return takes_marks_ ? "\1" + mark("133;B") + "\1" : "";
}

void TerminalMarks::begin_output() {
    say(mark("133;C"));
}

void TerminalMarks::end_output(int code) {
    say(mark("133;D;" + std::to_string(code)));
}

}  // namespace frsh
