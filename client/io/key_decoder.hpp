// KeyDecoder finds the keys in the bytes that a terminal sends. Pure.
//
// The names are those of readline(3) and its emacs mode, which bash, python3 and gdb have in
// common. Between the marks of a bracketed paste nothing is a key: the paste is one Paste.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

enum class EditKey : std::uint8_t {
    None,  // A key without a function.
    Text,
    Paste,
    Enter,
    EndOfInput,  // Ctrl-D: deletes, or ends an empty line.
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    PageUp,
    PageDown,
    Older,
    Newer,
    Oldest,
    Newest,
    Backspace,
    Delete,
    KillBlankWord,
    KillWordLeft,
    KillWordRight,
    KillToStart,
    KillToEnd,
    Yank,
    YankOlder,
    LastWord,
    Undo,
    Revert,
    Transpose,
    UpperWord,
    LowerWord,
    CapitalWord,
    SearchOlder,
    SearchNewer,
    Abort,
    ClearScreen,
    Complete,
    CompleteBack,
};

struct KeyPress {
    EditKey key = EditKey::None;
    std::string text = {};  // For Text and Paste.
};

class KeyDecoder {
  public:
    void feed(std::string_view bytes) { raw_ += bytes; }
    // Returns the next key; nothing if the bytes so far end within one. A lone Escape waits for the
    // key behind it, as in readline.
    [[nodiscard]] std::optional<KeyPress> next();
    // Takes the bytes that next() has not used. Those of a paste that has begun stay.
    [[nodiscard]] std::string take_rest();
    // Drops a key or a paste that has begun; keeps no byte.
    void clear();

  private:
    // Ground ── the begin mark ──▶ Paste ── the end mark ──▶ Ground
    // Ground ── Ctrl-V ──▶ Quoted ── any byte ──▶ Ground
    // Ground ── Ctrl-X ──▶ Prefix ── any byte ──▶ Ground
    enum class State { Ground, Paste, Quoted, Prefix };

    std::optional<KeyPress> take_paste();
    std::optional<KeyPress> take_text();
    std::optional<KeyPress> take_escape();
    KeyPress take_control();
    std::optional<KeyPress> take_sequence(std::size_t begin);
    void drop(std::size_t size) { raw_.erase(0, size); }

    State state_ = State::Ground;
    std::string raw_;
    std::string pasted_;
};

}  // namespace frsh
