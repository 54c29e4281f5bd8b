// One line from a person at a terminal, with editing, history and search; libedit does the work.
//
// libedit asks for one character at a time; while none is there, the caller's loop turns, so the
// connection stays alive while somebody thinks. What is pasted is inserted and never run: a newline
// in it becomes part of the line, and only a key that is pressed ends it.
#pragma once

#include "common/sys/event_loop.hpp"

#include <functional>
#include <memory>
#include <string>

namespace frsh {

class LineEditor {
  public:
    enum class Result {
        Line,
        EndOfFile,    // Ctrl-D on an empty line, or the terminal is gone.
        Interrupted,  // interrupt() was called.
    };

    // `turn` turns the loop once; the terminal on stdin is watched there while a line is edited.
    // History is kept in that file from one program to the next; empty: it is not.
    LineEditor(EventLoop& loop, std::function<void()> turn, std::string history_path);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    // Bytes between two \1 in the prompt take no room on the screen. `line` has no newline at its
    // end.
    Result read(const std::string& prompt, std::string& line);
    // From within `turn`: stop editing; what was typed is dropped.
    void interrupt();
    // From within `turn`: the window has another size.
    void resize();
    // We were stopped, and somebody else had the terminal since.
    void resume();

    void remember(const std::string& line);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace frsh
