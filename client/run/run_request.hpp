// Turns the options of the command line into requests of the protocol.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/proto/message.hpp"

#include <string>
#include <vector>

namespace frsh {

// Returns the request for a new run. `words` are a command for a shell; without words, the login
// shell reads stdin. Throws UserError for a NUL byte in a command, argument or variable.
[[nodiscard]] msg::Open open_for(const ClientOptions& options, std::vector<std::string> words);

// Returns the request for a kept run, for --attach, --logs and --wait.
[[nodiscard]] msg::Attach attach_for(const ClientOptions& options);

}  // namespace frsh
