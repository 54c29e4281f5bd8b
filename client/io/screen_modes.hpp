// ScreenModes records which modes of the terminal a program has changed, from the escape sequences
// in its output. If the program cannot undo them itself (the connection was lost, or the client
// leaves), reset() returns what undoes them. Pure: no descriptor.
//
// Terminals have no request that restores everything without clearing the screen, so only what was
// seen to be changed is undone.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace frsh {

class ScreenModes {
  public:
    // Takes output, cut anywhere.
    void feed(std::string_view bytes);
    // Returns the escape sequences that undo the changed modes; empty if there are none.
    [[nodiscard]] std::string reset() const;

  private:
    // Ground ── ESC ──▶ Escape ── "[" ──▶ Control ── a final byte ──▶ Ground
    // Escape ── "]", "P", "X", "^", "_" ──▶ Text ── BEL, or ESC ──▶ Ground, Escape
    // Escape ── "(" ──▶ Charset ── any byte ──▶ Ground
    enum class State { Ground, Escape, Control, Text, Charset };

    void take(char byte);
    void end_escape(char byte);
    void end_control(char final);
    void set_private_modes(bool is_on);
    void clear() { *this = {}; }

    State state_ = State::Ground;
    std::string parameters_;        // The control sequence so far, up to a limit.
    std::set<int> private_modes_;   // Those that differ from their usual state.
    bool has_insert_mode_ = false;  // Typed text moves the rest of the line.
    bool has_style_ = false;        // Colour, bold and the like.
    bool has_keypad_mode_ = false;
    bool has_line_drawing_ = false;  // Letters appear as parts of boxes.
};

}  // namespace frsh
