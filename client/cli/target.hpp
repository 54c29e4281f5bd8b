// The host, port and user of a target, resolved from all settings.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/ssh_names.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"

#include <chrono>
#include <string>

namespace frsh {

struct Target {
    HostPort where;
    std::string user;
    std::string name;   // "alice@host:7722", as in messages.
    HostPort known_as;  // The name in known_hosts: `where`, or HostKeyAlias if it is set.
    std::string asked;  // The host's name on the command line.
};

// Throws UserError.
[[nodiscard]] Target resolve_target(const ClientOptions& options);

// Returns the time limit for reaching the server; 0: no limit.
[[nodiscard]] std::chrono::milliseconds connect_timeout_of(const ConnectionSettings& settings);

// Returns after how much silence a peer counts as dead.
[[nodiscard]] KeepAlive keep_alive_of(const ConnectionSettings& settings);

// Returns %h, %p, %r and the other tokens of ssh_config(5) that depend on the target.
[[nodiscard]] SshTokens tokens_of(const Target& target);

// Expands "~/" and %-tokens in a path (ssh_config(5)). Throws UserError for an unknown token.
[[nodiscard]] std::string expand_path(const std::string& path, const Target& target);

// Returns the resolved settings in lines of "key value", as `ssh -G` prints them.
[[nodiscard]] std::string describe_config(const ClientOptions& options);

}  // namespace frsh
