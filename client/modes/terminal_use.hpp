// Decides what a run has of the user's terminal, and which signals the client takes for it.
#pragma once

#include "client/cli/client_options.hpp"

#include <vector>

namespace frsh {

// What the run has of the user's terminal.
enum class TerminalUse { None, ScreenOnly, ScreenAndKeys };

// Returns ScreenOnly or ScreenAndKeys if the command is to have a terminal. As in ssh, a single -t
// requires a local one.
[[nodiscard]] TerminalUse terminal_use(const ClientOptions& options);

// Returns the signals that the client takes while a run has this use of the terminal.
[[nodiscard]] std::vector<int> signals_for(TerminalUse use);

}  // namespace frsh
