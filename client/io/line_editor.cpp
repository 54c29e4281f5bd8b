#include "client/io/line_editor.hpp"

#include "client/io/history_expansion.hpp"
#include "client/io/inherited_input.hpp"
#include "client/io/screen.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <deque>

#include <fcntl.h>
#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr int kHistorySize = 2 * HistoryFile::kMostEntries;
constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr char kQuoteNext = 0x16;  // Ctrl-V: libedit inserts the next character literally.

// Switches bracketed paste on or off, unless the terminal obeys no escape sequences.
void set_bracketed_paste(const char* sequence) {
    if (!has_escapes()) return;
    std::fputs(sequence, stdout);
    std::fflush(stdout);
}

}  // namespace

struct LineEditor::State {
    EventLoop& loop;
    std::function<void()> turn;
    History entries;
    InheritedInput terminal{STDIN_FILENO};
    EditLine* editor = nullptr;
    ::History* history = nullptr;
    HistEvent event{};
    std::string prompt;
    std::string raw;         // Read from the terminal, not examined yet.
    std::deque<char> ready;  // For libedit.
    bool in_paste = false;
    bool newline_pending = false;  // A pasted newline, dropped if no text follows in the paste.
    bool interrupted = false;
    bool at_end = false;

    State(EventLoop& the_loop, std::function<void()> the_turn, History the_entries)
        : loop(the_loop), turn(std::move(the_turn)), entries(std::move(the_entries)) {}

    static State& of(EditLine* editor) {
        void* data = nullptr;
        ::el_get(editor, EL_CLIENTDATA, &data);
        return *static_cast<State*>(data);
    }
    static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }
    static int get_character(EditLine* editor, wchar_t* character) {
        return of(editor).next(character);
    }

    void take_input();
    void sort_input();
    void take_pasted(char byte);
    int next(wchar_t* character);
    Result take_line(std::string& line);
    bool expand(std::string& line, std::string_view head);
};

void LineEditor::State::take_input() {
    char buffer[4096];
    const IoResult result = terminal.read(buffer, sizeof buffer);
    if (result.status == IoResult::Status::EndOfFile) at_end = true;
    raw.append(buffer, result.bytes);
    sort_input();
}

// Passes typed bytes on unchanged. Quotes pasted bytes, so that none acts as a command key.
void LineEditor::State::sort_input() {
    while (!raw.empty()) {
        const std::string_view marker = in_paste ? kPasteEnd : kPasteBegin;
        if (raw.starts_with(marker)) {
            in_paste = !in_paste;
            newline_pending = false;
            raw.erase(0, marker.size());
            continue;
        }
        // A read may cut the paste marker. A lone Escape is a key and is passed on at once.
        if (raw.size() >= 2 && marker.starts_with(raw)) return;
        if (in_paste) {
            take_pasted(raw[0]);
        } else {
            ready.push_back(raw[0]);
        }
        raw.erase(0, 1);
    }
}

void LineEditor::State::take_pasted(char byte) {
    if (byte == '\r' || byte == '\n') {
        if (newline_pending) ready.insert(ready.end(), {kQuoteNext, '\n'});
        newline_pending = true;
        return;
    }
    if (newline_pending) ready.insert(ready.end(), {kQuoteNext, '\n'});
    newline_pending = false;
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7F) ready.push_back(kQuoteNext);
    ready.push_back(byte);
}

int LineEditor::State::next(wchar_t* character) {
    std::mbstate_t decoding{};
    for (;;) {
        while (ready.empty() && !interrupted && !at_end)
            turn();
        if (interrupted) return -1;
        if (ready.empty()) return 0;
        const char byte = ready.front();
        ready.pop_front();
        const std::size_t size = std::mbrtowc(character, &byte, 1, &decoding);
        if (size == static_cast<std::size_t>(-2)) continue;  // More of this character follows.
        if (size == static_cast<std::size_t>(-1)) {
            decoding = {};
            continue;  // Not a character.
        }
        return 1;
    }
}

LineEditor::Result LineEditor::State::take_line(std::string& line) {
    // libedit would do this after it shows the prompt; the first key may come before.
    ::el_set(editor, EL_PREP_TERM, 1);
    set_bracketed_paste("\x1b[?2004h");
    int count = 0;
    const char* const text = ::el_gets(editor, &count);
    set_bracketed_paste("\x1b[?2004l");
    if (interrupted) return Result::Interrupted;
    if (text == nullptr || count <= 0) return Result::EndOfFile;
    line.assign(text, static_cast<std::size_t>(count));
    if (line.ends_with('\n')) line.pop_back();
    return Result::Line;
}

// Expands the history marks, and shows the line that results. Returns false if it cannot be run.
bool LineEditor::State::expand(std::string& line, std::string_view head) {
    auto expanded = expand_history(line, entries.newest(), head);
    if (!expanded) {
        log::error("history: there is no line before this one");
        return false;
    }
    if (*expanded != line) std::printf("%s\n", escape_controls(*expanded).c_str());
    std::fflush(stdout);
    line = std::move(*expanded);
    return true;
}

LineEditor::LineEditor(EventLoop& loop, std::function<void()> turn, History history)
    : state_(std::make_unique<State>(loop, std::move(turn), std::move(history))) {
    // Uses the encoding of the user's locale; if the locale has none, UTF-8.
    const char* const locale = std::setlocale(LC_CTYPE, "");
    if (locale == nullptr || std::string_view(locale) == "C" ||
        std::string_view(locale) == "POSIX") {
        (void)std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    State& state = *state_;
    state.editor = ::el_init("frsh", stdin, stdout, stderr);
    if (state.editor == nullptr) throw UserError("the terminal cannot be used for editing");
    state.history = ::history_init();
    ::history(state.history, &state.event, H_SETSIZE, kHistorySize);
    ::history(state.history, &state.event, H_SETUNIQUE, 1);
    for (std::size_t number = 0; number < state.entries.size(); ++number)
        ::history(state.history, &state.event, H_ENTER, state.entries[number].c_str());
    ::el_set(state.editor, EL_CLIENTDATA, &state);
    ::el_set(state.editor, EL_PROMPT_ESC, &State::prompt_of, '\1');
    ::el_set(state.editor, EL_EDITOR, "emacs");
    ::el_set(state.editor, EL_SIGNAL, 0);  // The event loop handles signals.
    ::el_set(state.editor, EL_HIST, ::history, state.history);
    ::el_set(state.editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    for (const char* const up : {"\\e[A", "\\eOA"})
        ::el_set(state.editor, EL_BIND, up, "ed-search-prev-history", nullptr);
    for (const char* const down : {"\\e[B", "\\eOB"})
        ::el_set(state.editor, EL_BIND, down, "ed-search-next-history", nullptr);
    ::el_set(state.editor, EL_GETCFN, &State::get_character);
}

LineEditor::~LineEditor() {
    State& state = *state_;
    ::history_end(state.history);
    ::el_end(state.editor);
}

LineEditor::Result LineEditor::read(const std::string& prompt, std::string& line,
                                    std::string_view head) {
    State& state = *state_;
    state.prompt = prompt;
    state.interrupted = false;
    state.in_paste = false;
    const auto watch = state.loop.watch(
        "terminal: a key", state.terminal.fd(), [] { return short{POLLIN}; },
        [&state](short) { state.take_input(); });
    for (;;) {
        const Result result = state.take_line(line);
        if (result != Result::Line || state.expand(line, head)) return result;
    }
}

void LineEditor::interrupt() {
    state_->interrupted = true;
}

void LineEditor::resize() {
    ::el_resize(state_->editor);
}

void LineEditor::resume() {
    // Otherwise libedit assumes that the terminal is still in its editing mode.
    ::el_set(state_->editor, EL_PREP_TERM, 0);
    ::el_set(state_->editor, EL_PREP_TERM, 1);
    ::el_set(state_->editor, EL_REFRESH);
}

void LineEditor::remember(const std::string& line) {
    state_->entries.add(line);
    const auto newest = state_->entries.newest();
    if (newest == line) ::history(state_->history, &state_->event, H_ENTER, line.c_str());
}

}  // namespace frsh
