// Jump hosts: -J, ProxyJump and `jump` in config.toml.
//
// The connection passes through the sshd of each hop, made by `ssh -W`. TLS and the login are
// between this client and the server behind the last hop: a hop carries bytes that it cannot read.
#pragma once

#include "client/cli/target.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// The program that leads to the server; its stdin and stdout are the connection.
struct JumpCommand {
    std::vector<std::string> programs;  // The paths where it may be.
    std::vector<std::string> argv;
    std::string name;  // The hops, for a message.
};

// Returns why "sshd:[user@]host[:port],..." is refused; nothing if it or "none" is accepted.
[[nodiscard]] std::optional<std::string> find_jump_error(std::string_view jump);

// Writes "sshd:" before each hop that is without it.
[[nodiscard]] std::string as_sshd_hops(std::string_view jump);

// Returns nothing for "none", and if the target is the last hop itself: a `Host *` of ssh's
// configuration may name one hop for all hosts. `file` is the configuration for ssh. Throws
// UserError if there is no ssh.
[[nodiscard]] std::optional<JumpCommand> resolve_jump(std::string_view jump, const Target& target,
                                                      const std::optional<std::string>& file,
                                                      bool is_batch);

}  // namespace frsh
