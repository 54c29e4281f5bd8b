// One command: its streams are ours, and so is its end, unless it is to go on without us. The same
// for a run that somebody started before.
#pragma once

#include "client/cli/options.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// Logs in, runs nothing and stays until the server or a signal ends that (-N). The exit code.
int run_without_command(const ClientOptions& options);

// A command, or --attach, --logs, --wait. The program's exit code.
int run_one_shot(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
