// Finds options that contradict each other on one command line.
#pragma once

#include "client/cli/client_options.hpp"

#include <optional>
#include <string>

namespace frsh {

// Returns the option of this request: "--attach".
[[nodiscard]] const char* name_of(KeptRequest::Kind kind);

// Returns false for a client that forwards nothing, whatever the configuration has.
[[nodiscard]] bool may_forward(const ClientOptions& options);

// Returns the first conflict as one line for the user; nothing if there is none.
[[nodiscard]] std::optional<std::string> find_option_conflict(const ClientOptions& options);

}  // namespace frsh
