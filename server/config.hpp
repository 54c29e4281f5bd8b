// Reads the server's configuration file: /etc/frsh/frshd.toml for root, else
// ~/.config/frsh/frshd.toml.
//
//     listen = ["0.0.0.0:7722", "[::]:7722"]
//     allow_groups = ["staff"]
//     audit = "/var/log/frshd.json"
#pragma once

#include "server/options.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Parses the content of frshd.toml. Throws UserError, "FILE:LINE: what".
[[nodiscard]] ServerSettings parse_server_config(std::string_view text, const std::string& file);

// Fills in the options that the command line leaves open: from the file, then with defaults. A
// missing file is no error unless it was named with --config. A file that other users could have
// written is refused. Throws UserError.
void configure(ServerOptions& options);

}  // namespace frsh
