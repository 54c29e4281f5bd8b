// The known host keys: files in OpenSSH's format, and the verdict about a key.
//
// frsh's own file names servers as "[host]:port", and only this file can report a changed key.
// ssh's files make a key known. The system's frshd may use the machine's ssh key, but a user's own
// frshd has another one: so another key in ssh's files leaves the host unknown, and the verdict
// names that key. Then nothing but the user's answer can make the new key known.
// "@revoked" counts in every
// file. `ssh-keygen -F`, `-R` and `-H` work on all of them.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "common/keys/ssh_key.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct KnownHost {
    // Authority: the key certifies hosts (@cert-authority).
    enum class Marker { None, Revoked, Authority };
    Marker marker = Marker::None;
    std::string hosts;  // A list of patterns, or "|1|salt|hash" for one hidden name.
    PublicKey key;
    std::size_t line = 0;  // Counted from 1.

    // `name` is a host, or "[host]:port".
    [[nodiscard]] bool is_for(std::string_view name) const;
};

// Parses the lines of a file. Skips comments, unknown markers and key types and malformed
// lines, as ssh does.
[[nodiscard]] std::vector<KnownHost> parse_known_hosts(std::string_view text);

struct HostKeySources {
    std::string own;               // ~/.config/frsh/known_hosts
    std::vector<std::string> ssh;  // ~/.ssh/known_hosts, /etc/ssh/ssh_known_hosts
    std::optional<PublicKey> pin;  // Recorded by a server of the same user in the runtime folder.
};

struct HostKeyVerdict {
    enum class Kind {
        Known,    // Go on.
        Unknown,  // First use: ask, or refuse. `recorded` is another key that ssh's files have.
        Changed,  // Always fatal: `recorded` is what the own file has.
        Revoked,  // Always fatal.
    };
    Kind kind = Kind::Unknown;
    std::string path = {};  // The file that decided, if one did, and its line.
    std::size_t line = 0;
    std::optional<PublicKey> recorded = {};
    // Why a certificate of a known authority does not count, for the user. The key is judged alone.
    std::string certificate_fault = {};
};

// A certificate makes the key known if a file has its authority for this host. A file that does not
// exist counts as empty. Throws SysError if the own file cannot be read.
[[nodiscard]] HostKeyVerdict judge_host_key(const HostKeySources& sources, std::string_view host,
                                            std::uint16_t port, const PublicKey& key,
                                            const std::optional<Certificate>& certificate = {});

// Returns the host's name in the own file: "[host]:port".
[[nodiscard]] std::string known_host_name(std::string_view host, std::uint16_t port);

// Appends a line with one write(2). A new file gets mode 0600, a new folder 0700. Throws UserError
// for a host name that the format cannot hold, and SysError.
void add_known_host(const std::string& path, std::string_view host, std::uint16_t port,
                    const PublicKey& key);

}  // namespace frsh
