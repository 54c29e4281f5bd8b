// The way through a jump host: stdin and stdout are a connection that the hop makes. The hidden
// mode
// --stdio-forward of this program, which a client with -J starts; modes/stdio_forward.hpp is -W.
#pragma once

#include "client/cli/client_options.hpp"

namespace frsh {

// Logs in to the target, has it connect to options.stdio_forward, and copies bytes both ways until
// both directions have ended. Each direction ends as TCP ends it. If the connection to the target
// is lost, this ends: the starter dials the whole way again. If no frshd answers and
// options.sshd_port is set, replaces this process by `ssh -W`. Returns the exit code. Throws as
// connect_to() does; with options.hop_report, reports the failure there instead.
[[nodiscard]] int run_hop_forward(const ClientOptions& options);

}  // namespace frsh
