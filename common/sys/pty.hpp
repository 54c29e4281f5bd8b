// Pseudo-terminals: a pair of descriptors with a terminal between them.
#pragma once

#include "common/base/terminal.hpp"
#include "common/sys/fd.hpp"

#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

struct Pty {
    Fd master;         // Our side, non-blocking: write(2) types, read(2) returns what was printed.
    Fd slave;          // The program's side.
    std::string name;  // The slave's path: "/dev/pts/7".
};
[[nodiscard]] Pty open_pty();

// Returns the process group that Ctrl-C on the terminal would interrupt; -1 if there is none.
[[nodiscard]] pid_t foreground_group(int master);

// Returns the size of a terminal, from either side; nothing if the descriptor is not a terminal.
// The kernel sends SIGWINCH to the foreground group when set_window_size() changes the size.
[[nodiscard]] std::optional<WindowSize> window_size(int terminal);
void set_window_size(int terminal, const WindowSize& size);

// Returns whether the terminal, from either side, shows what is typed, and hands it to programs
// line by line (ECHO and ICANON, termios(3)).
struct TypingModes {
    bool has_echo = true;
    bool has_lines = true;
    std::optional<char> interrupt = {};  // The key that interrupts (VINTR), if one does.
};
[[nodiscard]] TypingModes typing_modes(int terminal);

// Takes all typed bytes that no program has read, also of a line that has not ended. `slave` is the
// program's side.
[[nodiscard]] std::string take_unread(int slave);

// Throws SysError.
void set_terminal_modes(int terminal, const TerminalModes& modes);

// Returns the character that ends the input of a program that reads lines from this terminal (VEOF,
// termios(3)); nothing if it is switched off.
[[nodiscard]] std::optional<char> eof_character(int terminal);

}  // namespace frsh
