// The settings of hosts in the user's files: ~/.config/frsh/config.toml, and ~/.ssh/config as
// `ssh -G` reads it.
//
//     [defaults]                   # for every target
//     user = "alice"
//     [hosts.build]                # for `frsh build`
//     address = "192.0.2.7"
//     port = 7700
//     identity = "~/.ssh/build"
//     [prompt]
//     suggest = false
#pragma once

#include "client/cli/client_options.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

struct ClientConfig {
    ConnectionSettings defaults;
    std::map<std::string, ConnectionSettings> hosts;
    std::optional<bool> suggests;  // At the prompt.
};

// Parses the content of config.toml. Throws UserError, "FILE:LINE: what".
[[nodiscard]] ClientConfig parse_client_config(std::string_view text, const std::string& file);

// Fills in the settings that the command line does not have, in this order: from the target's text,
// config.toml, and ssh. If the files do not exist, this costs two system calls. Throws UserError.
void configure(ClientOptions& options);

}  // namespace frsh
