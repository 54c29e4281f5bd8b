// The command line of frsh: ssh's short options and keywords (ssh_options.hpp), and frsh's own long
// options.
#pragma once

#include "client/cli/client_options.hpp"

#include <optional>
#include <string>

namespace frsh {

// Parses the command line. Returns nothing if the program should exit with `status`: after --help
// or --version, and after an error, which is one line on stderr. `why`, if given, receives its
// text.
[[nodiscard]] std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status,
                                                                std::string* why = nullptr);

}  // namespace frsh
