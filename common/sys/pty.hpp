// Pseudo-terminals: a pair of descriptors with a terminal between them.
#pragma once

#include "common/base/terminal.hpp"
#include "common/sys/fd.hpp"

#include <optional>

#include <sys/types.h>

namespace frsh {

struct Pty {
    Fd master;  // Ours: what is written here is typed, what is read was printed. Non-blocking.
    Fd slave;   // The program's.
    std::string name;  // Of the slave: "/dev/pts/7".
};
[[nodiscard]] Pty open_pty();

// The process group that the terminal would interrupt, or -1 where it has none.
[[nodiscard]] pid_t foreground_group(int master);

// Of a terminal, from either side; nothing for what is none. A new size is a SIGWINCH to the
// foreground group.
[[nodiscard]] std::optional<WindowSize> window_size(int terminal);
void set_window_size(int terminal, const WindowSize& size);

// Throws SysError.
void set_terminal_modes(int terminal, const TerminalModes& modes);

// The character that ends the input of whoever reads lines from this terminal; nothing where that
// is switched off.
[[nodiscard]] std::optional<char> eof_character(int terminal);

}  // namespace frsh
