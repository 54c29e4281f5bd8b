// Writes the record of a request that failed before any run was started, to the places that the
// caller named: --status-fd, and stdout for --json.
#pragma once

#include "client/cli/client_options.hpp"

#include <exception>
#include <string>

namespace frsh {

// Writes nothing if the caller requested no record. A record that cannot be written is ignored: the
// exit code is 255 in any case.
void record_failure(const ClientOptions& options, const std::exception& error);

// Returns the text of the error. If the name of the target cannot be looked up, the words may be in
// another order than ssh's command line has them; the text then says in which order they go.
[[nodiscard]] std::string describe_failure(const ClientOptions& options,
                                           const std::exception& error);

// Writes the record for a command line that could not be understood. `--json` and `--status-fd` are
// looked for in the words before the first `--`.
void record_usage_error(int argc, char** argv, const std::string& why);

}  // namespace frsh
