// One command: its streams are ours, and so is its end, unless it is to go on without us. The same
// for a run that somebody started before.
#pragma once

#include "client/options.hpp"
#include "common/proto/message.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// What the options ask for, as the server is asked for it. `command` is one for a shell; without
// one the login shell reads stdin. Throws UserError for a NUL in anything that may have none.
[[nodiscard]] msg::Open open_for(const ClientOptions& options, std::vector<std::string> words);

// Logs in, runs nothing and stays until the server or a signal ends that (-N). The exit code.
int run_without_command(const ClientOptions& options);

// A command, or --attach, --logs, --wait. The program's exit code.
int run_one_shot(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
