// The mode of -W: stdin and stdout of this client are one connection that the server makes.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/sys/startup.hpp"

#include <string>
#include <vector>

namespace frsh {

// Carries the connection to `to` to its end. Returns 0 if both directions ended in order, 128 and a
// signal's number if that ended this client, and 255 otherwise. Throws as connect_to().
int run_stdio_forward(const ClientOptions& options, const std::vector<std::string>& to,
                      const StandardStreams& streams);

}  // namespace frsh
