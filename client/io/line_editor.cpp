#include "client/io/line_editor.hpp"

#include "client/io/edit_buffer.hpp"
#include "client/io/editing_mode.hpp"
#include "client/io/history_expansion.hpp"
#include "client/io/history_search.hpp"
#include "client/io/history_walk.hpp"
#include "client/io/inherited_input.hpp"
#include "client/io/key_decoder.hpp"
#include "client/io/line_view.hpp"
#include "client/io/output_sink.hpp"
#include "client/io/screen.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/pty.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kPageOfHistory = 10;  // Entries that PageUp passes.
constexpr std::string_view kPasteOn = "\x1b[?2004h";
constexpr std::string_view kPasteOff = "\x1b[?2004l";

// The keys that move through the history.
bool is_walk(EditKey key) {
    switch (key) {
        case EditKey::Up:
        case EditKey::Down:
        case EditKey::Older:
        case EditKey::Newer:
        case EditKey::PageUp:
        case EditKey::PageDown:
        case EditKey::Oldest:
        case EditKey::Newest:
            return true;
        default:
            return false;
    }
}

}  // namespace

// Each part has its own class; this one connects them, so it has a member for each.
struct LineEditor::State {
    // Idle ── read() ──▶ Editing ── Enter, Ctrl-D, interrupt() ──▶ Done ── read() returns ──▶ Idle
    // Editing ── hide() ──▶ Hidden ── show() ──▶ Editing
    enum class Phase { Idle, Editing, Hidden, Done };

    EventLoop& loop;
    std::function<void()> turn;
    History history;
    InheritedInput input{STDIN_FILENO};
    InheritedOutput output;
    EditingMode mode{STDIN_FILENO};
    LineView view{has_escapes() ? LineView::Kind::Escapes : LineView::Kind::Dumb};
    KeyDecoder keys{};
    EditBuffer buffer{};
    HistoryWalk walk{history};
    HistorySearch search{history};
    Completer completer{};
    std::vector<std::string> candidates{};  // Listed below the line.
    bool is_completing = false;
    std::string prompt{};
    std::string note{};
    bool suggests = true;
    std::size_t word_begin = 0;  // Where Alt-. has put a word.
    Phase phase = Phase::Idle;
    Result result = Result::Line;

    State(EventLoop& the_loop, std::function<void()> the_turn, History the_history)
        : loop(the_loop),
          turn(std::move(the_turn)),
          history(std::move(the_history)),
          output(the_loop, "stdout: the line", STDOUT_FILENO, InheritedOutput::WasOpen::Yes) {}

    void take_input();
    void work_off_keys();
    void act(const KeyPress& press);
    void act_on_line(const KeyPress& press);
    bool act_on_search(const KeyPress& press);
    void walk_history(EditKey key);
    bool take_suggestion(EditKey key);
    void take_last_word();
    void begin_completion();
    void take_candidates(const std::vector<std::string>& found);
    void drop_completion();
    [[nodiscard]] std::string suggestion() const;
    [[nodiscard]] LineContent content(const std::string& suggested) const;
    void draw();
    void finish(Result how);
    void leave_line();
    bool expand(std::string& line, std::string_view head);
    void write(const std::string& bytes) { output.write(bytes); }
};

void LineEditor::State::take_input() {
    char bytes[4096];
    const IoResult got = input.read(bytes, sizeof bytes);
    keys.feed({bytes, got.bytes});
    work_off_keys();
    if (got.status == IoResult::Status::EndOfFile) finish(Result::EndOfFile);
}

void LineEditor::State::work_off_keys() {
    bool has_changed = false;
    while (phase == Phase::Editing) {
        const auto press = keys.next();
        if (!press) break;
        act(*press);
        has_changed = true;
    }
    if (has_changed && phase == Phase::Editing) draw();
}

void LineEditor::State::act(const KeyPress& press) {
    drop_completion();
    if (search.is_on() && act_on_search(press)) return;
    const std::string before = buffer.text();
    act_on_line(press);
    // An entry that was changed is a typed line.
    if (!is_walk(press.key) && buffer.text() != before) walk.stop();
    if (press.key != EditKey::LastWord) walk.stop_words();
}

// Returns false if the key acts on the line that the search has left.
bool LineEditor::State::act_on_search(const KeyPress& press) {
    if (search.apply(press)) return true;
    if (press.key == EditKey::Abort) {
        buffer.set(search.abort());
        return true;
    }
    const std::size_t match = search.match();
    const bool has_match = search.match_size() > 0;
    buffer.set(search.accept());
    if (has_match) buffer.move_to(match);
    return press.key == EditKey::None;
}

void LineEditor::State::act_on_line(const KeyPress& press) {
    if (take_suggestion(press.key)) return;
    if (is_walk(press.key)) return walk_history(press.key);
    switch (press.key) {
        case EditKey::Enter:
            return finish(Result::Line);
        case EditKey::EndOfInput:
            if (buffer.text().empty()) return finish(Result::EndOfFile);
            (void)buffer.apply(press);
            return;
        case EditKey::SearchOlder:
        case EditKey::SearchNewer:
            return search.begin(buffer.text());
        case EditKey::Complete:
        case EditKey::CompleteBack:
            return begin_completion();
        case EditKey::LastWord:
            return take_last_word();
        case EditKey::ClearScreen:
            return write(view.clear_screen());
        default:
            (void)buffer.apply(press);
    }
}

void LineEditor::State::walk_history(EditKey key) {
    // Within a line of several, the arrows move the cursor, unless they came from the history.
    if (key == EditKey::Up && !walk.is_walking() && buffer.line_up()) return;
    if (key == EditKey::Down && !walk.is_walking() && buffer.line_down()) return;
    const std::string& text = buffer.text();
    std::optional<std::string> found;
    if (key == EditKey::Up || key == EditKey::Older) {
        found = walk.older(text);
    } else if (key == EditKey::Down || key == EditKey::Newer) {
        found = walk.newer(text);
    } else if (key == EditKey::PageUp) {
        found = walk.older_by(kPageOfHistory, text);
    } else if (key == EditKey::PageDown) {
        found = walk.newer_by(kPageOfHistory, text);
    } else {
        found = key == EditKey::Oldest ? walk.oldest(text) : walk.newest();
    }
    if (found) buffer.set(std::move(*found));
}

// Takes the suggestion, or with a key for a word its first word. Returns false if there is none.
bool LineEditor::State::take_suggestion(EditKey key) {
    const bool is_word = key == EditKey::WordRight;
    if (!is_word && key != EditKey::Right && key != EditKey::End) return false;
    const std::string suggested = suggestion();
    if (suggested.empty()) return false;
    std::size_t size = suggested.size();
    if (is_word) {
        const std::size_t begin = suggested.find_first_not_of(" \t\n/");
        size = std::min(size, suggested.find_first_of(" \t\n/", std::min(begin, size)));
    }
    buffer.insert(suggested.substr(0, size));
    return true;
}

void LineEditor::State::take_last_word() {
    const bool is_first = !walk.has_words();
    if (is_first) word_begin = buffer.cursor();
    const auto word = walk.older_last_word();
    if (word) buffer.replace(word_begin, buffer.cursor(), *word);
}

void LineEditor::State::begin_completion() {
    if (!completer.begin) return;
    is_completing = true;
    completer.begin(std::string_view(buffer.text()).substr(0, buffer.cursor()),
                    [this](const std::vector<std::string>& found) { take_candidates(found); });
}

void LineEditor::State::take_candidates(const std::vector<std::string>& found) {
    is_completing = false;
    if (phase != Phase::Editing || found.empty()) return;
    const auto place =
        find_completion_place(std::string_view(buffer.text()).substr(0, buffer.cursor()));
    const auto number = found.size() == 1 ? Candidates::One : Candidates::Several;
    const std::string common = common_beginning(found);
    const bool is_further = number == Candidates::One || common.size() > place.value.size();
    if (is_further && common.starts_with(place.value)) {
        buffer.replace(place.begin, buffer.cursor(), as_typed(common, place, number));
    }
    if (number == Candidates::Several) {
        const std::size_t room = view.rows() / 2;
        candidates = list_in_columns(found, view.columns(), room);
    }
    draw();
}

void LineEditor::State::drop_completion() {
    candidates.clear();
    if (std::exchange(is_completing, false)) completer.cancel();
}

std::string LineEditor::State::suggestion() const {
    const std::string& text = buffer.text();
    const bool is_wanted = suggests && has_escapes() && !text.empty() && buffer.is_at_end() &&
                           !walk.is_walking() && !search.is_on();
    if (!is_wanted) return "";
    const auto number = history.older_with_prefix(text, history.size(), text);
    return number ? history[*number].substr(text.size()) : "";
}

LineContent LineEditor::State::content(const std::string& suggested) const {
    LineContent content;
    content.prompt = prompt;
    content.note = note;
    content.has_colour = wants_colour();
    content.below = candidates;
    if (search.is_on()) {
        content.text = search.line();
        content.match = search.match();
        content.match_size = search.match_size();
        content.cursor = content.match_size > 0 ? content.match : content.text.size();
        content.below = {search.status()};
        return content;
    }
    content.text = buffer.text();
    content.cursor = buffer.cursor();
    content.suggestion = suggested;
    return content;
}

void LineEditor::State::draw() {
    const std::string suggested = suggestion();
    write(view.draw(content(suggested)));
}

void LineEditor::State::finish(Result how) {
    if (phase == Phase::Idle || phase == Phase::Done) return;
    phase = Phase::Done;
    result = how;
}

// Leaves the line on the screen as it was entered.
void LineEditor::State::leave_line() {
    drop_completion();
    if (search.is_on()) buffer.set(search.accept());
    std::string bytes = view.leave(content(""));
    if (result == Result::Line) bytes += "\r\n";
    if (has_escapes()) bytes += kPasteOff;
    write(bytes);
    while (!output.is_drained() && loop.run_once()) {
    }
    mode.leave();
    phase = Phase::Idle;
}

// Expands the history marks, and shows the line that results. Returns false if it cannot be run.
bool LineEditor::State::expand(std::string& line, std::string_view head) {
    auto expanded = expand_history(line, history.newest(), head);
    if (!expanded) {
        log::error("history: there is no line before this one");
        return false;
    }
    if (*expanded != line) {
        for (const std::string_view row : split(*expanded, '\n'))
            write(escape_controls(row) + "\n");
    }
    line = std::move(*expanded);
    return true;
}

LineEditor::LineEditor(EventLoop& loop, std::function<void()> turn, History history)
    : state_(std::make_unique<State>(loop, std::move(turn), std::move(history))) {}

LineEditor::~LineEditor() = default;

LineEditor::Result LineEditor::read(const std::string& prompt, std::string& line,
                                    std::string_view head) {
    State& state = *state_;
    const auto watch = state.loop.watch(
        "terminal: a key", state.input.fd(), [] { return short{POLLIN}; },
        [&state](short) { state.take_input(); });
    do {
        const WindowSize size = window_size(STDOUT_FILENO).value_or(WindowSize{});
        state.view.set_size(size.columns, size.rows);
        state.prompt = prompt;
        state.buffer.clear();
        state.walk.stop();
        state.phase = State::Phase::Editing;
        state.mode.enter();
        if (has_escapes()) state.write(std::string(kPasteOn));
        state.draw();
        state.work_off_keys();  // Keys that were typed ahead.
        while (state.phase != State::Phase::Done)
            state.turn();
        state.leave_line();
        line = state.buffer.text();
    } while (state.result == Result::Line && !state.expand(line, head));
    return state.result;
}

void LineEditor::interrupt() {
    state_->keys.clear();
    (void)state_->search.abort();
    state_->finish(Result::Interrupted);
}

void LineEditor::resize() {
    State& state = *state_;
    if (state.phase != State::Phase::Editing) return;
    const WindowSize size = window_size(STDOUT_FILENO).value_or(WindowSize{});
    state.candidates.clear();
    const std::string suggested = state.suggestion();
    state.write(state.view.resize(state.content(suggested), size.columns, size.rows));
}

void LineEditor::resume() {
    State& state = *state_;
    state.mode.renew();
    if (state.phase != State::Phase::Editing) return;
    state.view.forget();
    if (has_escapes()) state.write(std::string(kPasteOn));
    state.write("\r");
    state.draw();
}

void LineEditor::hide() {
    State& state = *state_;
    if (state.phase != State::Phase::Editing) return;
    state.phase = State::Phase::Hidden;
    state.write(state.view.erase());
}

void LineEditor::show() {
    State& state = *state_;
    if (state.phase != State::Phase::Hidden) return;
    state.phase = State::Phase::Editing;
    state.draw();
    state.work_off_keys();
}

void LineEditor::type(std::string_view keys) {
    state_->keys.feed(keys);
}

std::string LineEditor::take_typed() {
    return state_->keys.take_rest();
}

void LineEditor::remember(const std::string& line) {
    state_->history.add(line);
}

void LineEditor::set_note(std::string note) {
    if (note == state_->note) return;
    state_->note = std::move(note);
    if (state_->phase == State::Phase::Editing) state_->draw();
}

void LineEditor::set_suggests(bool suggests) {
    state_->suggests = suggests;
}

void LineEditor::set_completer(Completer completer) {
    state_->completer = std::move(completer);
}

}  // namespace frsh
