// Which host, port and user a target means, once all that was said about it is taken together.
#pragma once

#include "client/cli/options.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"

#include <string>

namespace frsh {

struct Target {
    HostPort where;
    std::string user;
    std::string name;   // "alice@host:7722", as in messages.
    HostPort known_as;  // As known_hosts has it: `where`, unless HostKeyAlias says otherwise.
    std::string asked;  // The host's name as it was given.
};

// Throws UserError.
[[nodiscard]] Target resolve_target(const ClientOptions& options);

// Returns the time limit for reaching the server; 0: no limit.
[[nodiscard]] std::chrono::milliseconds connect_timeout_of(const ConnectionSettings& settings);

// How a silent peer is told from a dead one.
[[nodiscard]] KeepAlive keep_alive_of(const ConnectionSettings& settings);

// %h, %p, %r and the others of ssh_config(5) that depend on the target.
[[nodiscard]] SshTokens tokens_of(const Target& target);

// A path as ssh_config(5) has it: "~/" and %-tokens. Throws UserError for an unknown token.
[[nodiscard]] std::string expand_path(const std::string& path, const Target& target);

// What was resolved, a line of "key value" each, as `ssh -G` prints it.
[[nodiscard]] std::string describe_config(const ClientOptions& options);

}  // namespace frsh
