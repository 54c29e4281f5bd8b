// Runs the prompt: lines are evaluated in a stateful shell on the server, one after another.
#pragma once

#include "client/cli/client_options.hpp"

namespace frsh {

// Returns the program's exit code: that of the last command, as a shell does.
int run_repl(const ClientOptions& options);

}  // namespace frsh
