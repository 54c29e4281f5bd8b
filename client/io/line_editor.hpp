// LineEditor reads one line from a terminal, with editing, history, search and suggestions.
//
// No key waits for the connection: while there is none, the caller's event loop turns, and each
// key acts at once. Pasted text is inserted and never run: a newline in it becomes part of the
// line, and only the Enter key ends the line. The parts are pure and have their own files: the keys
// (key_decoder.hpp), the text (edit_buffer.hpp), and what the terminal shows (line_view.hpp).
#pragma once

#include "client/io/completion.hpp"
#include "client/io/history.hpp"
#include "common/sys/event_loop.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace frsh {

class LineEditor {
  public:
    enum class Result {
        Line,
        EndOfFile,    // Ctrl-D on an empty line, or a closed terminal.
        Interrupted,  // interrupt() was called.
    };

    // `turn` runs the event loop once. While a line is edited, the loop watches stdin.
    LineEditor(EventLoop& loop, std::function<void()> turn, History history);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    // Blocks until a line, the end of input or interrupt(). Bytes between two \1 in the prompt have
    // no width on the screen. `line` has no newline at its end. `head` has the lines of the same
    // command that were read before.
    Result read(const std::string& prompt, std::string& line, std::string_view head = {});
    // Ends read() with Interrupted and drops the typed text. Call it from within `turn`.
    void interrupt();
    // Redraws for a new window size. Call it from within `turn`.
    void resize();
    // Restores the editing mode after SIGCONT: another program may have changed the terminal.
    void resume();
    // Takes the line off the screen, so that other output can be written, and brings it back. Call
    // them from within `turn`. They do nothing if no line is read.
    void hide();
    void show();

    // Adds keys as if they were typed, for the next read().
    void type(std::string_view keys);
    // Takes the keys that were typed behind the line that read() has returned. Those of a paste
    // stay.
    [[nodiscard]] std::string take_typed();

    // Adds the line to the history; see History::add().
    void remember(const std::string& line);
    // Sets the note that read() shows at the right end of the prompt; empty: none. Redraws a line
    // that is being read.
    void set_note(std::string note);
    // Switches the grey suggestion behind the cursor on or off.
    void set_suggests(bool suggests);
    // Sets what finds the completions. Without it, Tab does nothing.
    void set_completer(Completer completer);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace frsh
