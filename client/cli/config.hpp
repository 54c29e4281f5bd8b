// What a user has written down about hosts: ~/.config/frsh/config.toml, and what ssh makes of
// ~/.ssh/config.
//
//     [defaults]                   # for every target
//     user = "alice"
//     [hosts.build]                # for `frsh build`
//     address = "192.0.2.7"
//     port = 7700
//     identity = "~/.ssh/build"
#pragma once

#include "client/cli/options.hpp"

#include <map>
#include <string>
#include <string_view>

namespace frsh {

struct ClientConfig {
    ConnectionSettings defaults;
    std::map<std::string, ConnectionSettings> hosts;
};

// Pure. Throws UserError, "FILE:LINE: what".
[[nodiscard]] ClientConfig parse_client_config(std::string_view text, const std::string& file);

// Fills in what the command line has left open: the target's own words, config.toml, ssh. Without
// those files this costs two failing system calls. Throws UserError.
void configure(ClientOptions& options);

}  // namespace frsh
