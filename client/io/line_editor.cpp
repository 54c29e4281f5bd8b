#include "client/io/line_editor.hpp"

#include "client/io/inherited_input.hpp"
#include "client/io/screen.hpp"
#include "common/base/error.hpp"

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

constexpr int kHistorySize = 5000;
constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
// The format of H_SAVE: this line, then one entry per line, encoded as in vis(3).
constexpr std::string_view kHistoryHead = "_HiStOrY_V2_\n";
constexpr off_t kMaxHistoryFile = 4 * 1024 * 1024;
constexpr char kQuoteNext = 0x16;  // Ctrl-V: libedit inserts the next character literally.

std::string history_entry(const std::string& line) {
    std::string entry;
    for (const char c : line) {
        if (c > ' ' && c < 0x7F && c != '\\') {
            entry += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        entry += '\\';
        for (const int shift : {6, 3, 0})
            entry += static_cast<char>('0' + (byte >> shift & 7));
    }
    return entry + "\n";
}

// Switches bracketed paste on or off, unless the terminal obeys no escape sequences.
void set_bracketed_paste(const char* sequence) {
    if (!has_escapes()) return;
    std::fputs(sequence, stdout);
    std::fflush(stdout);
}

}  // namespace

std::string history_path() {
    const char* const state = std::getenv("XDG_STATE_HOME");
    const char* const home = std::getenv("HOME");
    std::string folder;
    if (state != nullptr && state[0] == '/') {
        folder = state;
    } else if (home != nullptr && home[0] == '/') {
        folder = std::string(home) + "/.local/state";
        (void)::mkdir((std::string(home) + "/.local").c_str(), 0755);
    } else {
        return "";
    }
    (void)::mkdir(folder.c_str(), 0700);
    folder += "/frsh";
    (void)::mkdir(folder.c_str(), 0700);
    return ::access(folder.c_str(), W_OK) == 0 ? folder + "/history" : "";
}

struct LineEditor::State {
    EventLoop& loop;
    std::function<void()> turn;
    std::string history_path;
    InheritedInput terminal{STDIN_FILENO};
    EditLine* editor = nullptr;
    History* history = nullptr;
    HistEvent event{};
    std::string prompt;
    std::string raw;         // Read from the terminal, not examined yet.
    std::deque<char> ready;  // For libedit.
    bool in_paste = false;
    bool newline_pending = false;  // A pasted newline, dropped if no text follows in the paste.
    bool interrupted = false;
    bool at_end = false;

    State(EventLoop& the_loop, std::function<void()> the_turn, std::string path)
        : loop(the_loop), turn(std::move(the_turn)), history_path(std::move(path)) {}

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
    void load_history();
    void save_entry(const std::string& line);
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

void LineEditor::State::load_history() {
    if (history_path.empty()) return;
    ::history(history, &event, H_LOAD, history_path.c_str());
    struct stat info {};
    if (::stat(history_path.c_str(), &info) == -1 || info.st_size <= kMaxHistoryFile) return;
    // Keeps at most as many entries as were loaded.
    const std::string shorter = history_path + ".new";
    if (::history(history, &event, H_SAVE, shorter.c_str()) != -1) {
        (void)::rename(shorter.c_str(), history_path.c_str());
    }
}

// Appends the entry at once, so that a crash loses nothing and a second frsh can append, too. A
// file that cannot be written is ignored: history is a convenience.
void LineEditor::State::save_entry(const std::string& line) {
    if (history_path.empty()) return;
    const Fd file(
        ::open(history_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
    struct stat info {};
    if (!file.is_open() || ::fstat(file.get(), &info) == -1) return;
    const std::string entry = history_entry(line);
    const std::string text = info.st_size == 0 ? std::string(kHistoryHead) + entry : entry;
    (void)!::write(file.get(), text.data(), text.size());
}

LineEditor::LineEditor(EventLoop& loop, std::function<void()> turn, std::string history_path)
    : state_(std::make_unique<State>(loop, std::move(turn), std::move(history_path))) {
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
    state.load_history();
    ::el_set(state.editor, EL_CLIENTDATA, &state);
    ::el_set(state.editor, EL_PROMPT_ESC, &State::prompt_of, '\1');
    ::el_set(state.editor, EL_EDITOR, "emacs");
    ::el_set(state.editor, EL_SIGNAL, 0);  // The event loop handles signals.
    ::el_set(state.editor, EL_HIST, ::history, state.history);
    ::el_set(state.editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_set(state.editor, EL_GETCFN, &State::get_character);
}

LineEditor::~LineEditor() {
    State& state = *state_;
    ::history_end(state.history);
    ::el_end(state.editor);
}

LineEditor::Result LineEditor::read(const std::string& prompt, std::string& line) {
    State& state = *state_;
    state.prompt = prompt;
    state.interrupted = false;
    state.in_paste = false;
    const auto watch = state.loop.watch(
        "terminal: a key", state.terminal.fd(), [] { return short{POLLIN}; },
        [&state](short) { state.take_input(); });
    // libedit would do this after it shows the prompt; the first key may come before.
    ::el_set(state.editor, EL_PREP_TERM, 1);
    set_bracketed_paste("\x1b[?2004h");
    int count = 0;
    const char* const text = ::el_gets(state.editor, &count);
    set_bracketed_paste("\x1b[?2004l");
    if (state.interrupted) return Result::Interrupted;
    if (text == nullptr || count <= 0) return Result::EndOfFile;
    line.assign(text, static_cast<std::size_t>(count));
    if (line.ends_with('\n')) line.pop_back();
    return Result::Line;
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
    if (line.empty() || line[0] == ' ') return;
    ::history(state_->history, &state_->event, H_ENTER, line.c_str());
    state_->save_entry(line);
}

}  // namespace frsh
