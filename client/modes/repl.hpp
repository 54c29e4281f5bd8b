// Runs the prompt: lines are evaluated in a stateful shell on the server, one after another.
#pragma once

#include "client/cli/client_options.hpp"

namespace frsh {

// Returns the program's exit code: that of the last command, as a shell does.
int run_repl(const ClientOptions& options);

// Returns true if the text may be incomplete (an open quote, a here-document, a compound command).
// Only then a shell is run to check it, so that a plain line costs nothing.
[[nodiscard]] bool may_be_incomplete(const std::string& text);

}  // namespace frsh
