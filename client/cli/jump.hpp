// Jump hosts: -J, ProxyJump and `jump` in config.toml.
//
// TLS and the login are between this client and the server behind the last hop, and each hop is
// logged in to from here: a hop carries bytes that it cannot read. For each hop one program opens a
// connection behind it and copies bytes: frsh itself where the hop has a frshd, `ssh -W` where it
// has an sshd. The program for the last hop reaches that hop through the hops before it:
//
//     frsh -J a,sshd:b target      starts  ssh -W target:7722 -o ProxyCommand=... b
//     whose ProxyCommand           is      frsh --stdio-forward b:22 a
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/target.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Counts the processes of hops that one starts for the other, so that a circle has an end.
inline constexpr const char* kHopDepth = "FRSH_HOP_DEPTH";

// The program that leads to the server; its stdin and stdout are the connection.
struct JumpCommand {
    enum class Kind { Ssh, Frsh };
    Kind kind;
    std::vector<std::string> programs;  // The paths where it may be.
    std::vector<std::string> argv;
    std::string name;        // The hops, for a message.
    std::string depth = {};  // The value of kHopDepth for it.
};

// Returns why "[sshd:][user@]host[:port],..." is refused; nothing if it or "none" is accepted.
[[nodiscard]] std::optional<std::string> find_jump_error(std::string_view jump);

// Returns the way to the target. If the target is one of the hops, the way ends before it: a
// `Host *` of ssh's configuration may name one hop for all hosts. Returns nothing if no hop is
// left, and for "none". The hops take from `settings` only how long to try, whether the user may be
// asked, and the file for ssh. Throws UserError.
[[nodiscard]] std::optional<JumpCommand> resolve_jump(const JumpWish& jump, const Target& target,
                                                      const ConnectionSettings& settings);

// Returns `ssh -W` through the sshd of the target to what options.stdio_forward names. Throws
// UserError.
[[nodiscard]] JumpCommand resolve_sshd_hop(const ClientOptions& options, const Target& target);

}  // namespace frsh
