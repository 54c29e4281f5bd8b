// Runs one command, or follows one kept run: its streams are those of frsh, and so is its exit
// code.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// Executes a command, or --attach, --logs, --wait. Returns the program's exit code.
int run_one_shot(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
