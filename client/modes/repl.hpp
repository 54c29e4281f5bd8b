// The prompt: lines evaluated in a stateful shell on the server, one after another.
#pragma once

#include "client/cli/options.hpp"

namespace frsh {

// The program's exit code: that of the last command, as of any shell.
int run_repl(const ClientOptions& options);

// May this text be incomplete (an open quote, a here-document, a compound command)? Only then is a
// shell asked whether it is, so that a plain line costs nothing.
[[nodiscard]] bool may_be_incomplete(const std::string& text);

}  // namespace frsh
