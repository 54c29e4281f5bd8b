// Finds out whether a program waits for keys of a shell's terminal: a question of a start-up file
// may take its user longer than a start-up file may take by itself.
#pragma once

#include "server/run/shell_terminal.hpp"

#include <string>

#include <sys/types.h>

namespace frsh {

// Returns true if the process `shell`, or the one in the terminal's foreground, reads from the
// terminal now. Returns false if `shell` has replaced itself: its command line lacks `word`.
[[nodiscard]] bool waits_for_keys(const ShellTerminal& terminal, pid_t shell,
                                  const std::string& word);

}  // namespace frsh
