// What cannot be asked for together on one command line.
#pragma once

#include "client/cli/options.hpp"

#include <optional>
#include <string>

namespace frsh {

// The first thing of these, in one line; or nothing.
[[nodiscard]] std::optional<std::string> find_option_conflict(const ClientOptions& options);

}  // namespace frsh
