// What a server's owner has written down: /etc/frsh/frshd.toml for root, else
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

// Pure. Throws UserError, "FILE:LINE: what".
[[nodiscard]] ServerSettings parse_server_config(std::string_view text, const std::string& file);

// Fills in what the command line has left open, and last what nobody has said. A file that is not
// there is fine, unless it was named with --config; one that others could have written is not.
// Throws UserError.
void configure(ServerOptions& options);

}  // namespace frsh
