// What the options ask for, as the server is asked for it.
#pragma once

#include "client/cli/options.hpp"
#include "common/proto/message.hpp"

#include <string>
#include <vector>

namespace frsh {

// A run. `words` are a command for a shell; without one the login shell reads stdin. Throws
// UserError for a NUL in anything that may have none.
[[nodiscard]] msg::Open open_for(const ClientOptions& options, std::vector<std::string> words);

// One that somebody started before; for --attach, --logs and --wait.
[[nodiscard]] msg::Attach attach_for(const ClientOptions& options);

}  // namespace frsh
