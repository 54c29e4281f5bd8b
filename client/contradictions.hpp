// What cannot be asked for together on one command line.
#pragma once

#include "client/options.hpp"

#include <optional>
#include <string>

namespace frsh {

// The first thing of these, in one line; or nothing.
[[nodiscard]] std::optional<std::string> contradiction(const ClientOptions& options);

}  // namespace frsh
