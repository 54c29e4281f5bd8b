// Logs in and runs no command (-N), and continues in the background after the login (-f).
#pragma once

#include "client/cli/client_options.hpp"

namespace frsh {

// Logs in, runs nothing, and stays until the connection closes or a signal arrives. Returns the
// exit code.
int run_without_command(const ClientOptions& options);

// Continues in a child process; the parent exits with 0, so that its caller goes on. The child
// inherits all descriptors: the command's output still reaches the terminal. Throws SysError.
void leave_terminal();

}  // namespace frsh
