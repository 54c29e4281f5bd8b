// Which host key belongs to which server: files in OpenSSH's format, and the verdict over them.
//
// frsh's own file names servers as "[host]:port" and alone decides that a key has changed. The
// files of ssh can only help: a machine's ssh key is good for its frshd, but a user's own frshd on
// that machine has another, which is no reason for alarm. "@revoked" counts wherever it stands.
// `ssh-keygen -F`, `-R` and `-H` work on all of them.
#pragma once

#include "common/keys/ssh_key.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct KnownHost {
    enum class Marker { None, Revoked };
    Marker marker = Marker::None;
    std::string hosts;  // A list of patterns, or "|1|salt|hash" for one hidden name.
    PublicKey key;
    std::size_t line = 0;  // Counted from 1.

    // `name` is a host, or "[host]:port".
    [[nodiscard]] bool is_for(std::string_view name) const;
};

// Lines that say nothing to us (comments, @cert-authority, unknown keys, damage) are left out, as
// ssh does: a line that cannot be read vouches for nobody.
[[nodiscard]] std::vector<KnownHost> parse_known_hosts(std::string_view text);

struct HostKeySources {
    std::string own;               // ~/.config/frsh/known_hosts
    std::vector<std::string> ssh;  // ~/.ssh/known_hosts, /etc/ssh/ssh_known_hosts
    std::optional<PublicKey> pin;  // What a server of the same user left in the runtime folder.
};

struct HostKeyVerdict {
    enum class Kind {
        Known,    // Go on.
        Unknown,  // First use: ask, or refuse.
        Changed,  // Always fatal: `recorded` is what the own file has.
        Revoked,  // Always fatal.
    };
    Kind kind = Kind::Unknown;
    std::string path = {};  // The file that decided, if one did, and its line.
    std::size_t line = 0;
    std::optional<PublicKey> recorded = {};
};

// Files that do not exist say nothing. Throws SysError if the own file cannot be read.
[[nodiscard]] HostKeyVerdict judge_host_key(const HostKeySources& sources, std::string_view host,
                                            std::uint16_t port, const PublicKey& key);

// "[host]:port", as the own file has it.
[[nodiscard]] std::string known_host_name(std::string_view host, std::uint16_t port);

// Adds a line, in one write(2), to a file for its owner only; makes the folder if need be (0700).
// Throws UserError for a host that cannot be written down.
void add_known_host(const std::string& path, std::string_view host, std::uint16_t port,
                    const PublicKey& key);

}  // namespace frsh
