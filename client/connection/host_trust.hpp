// Is this the host we mean? The verdict over its key, in words, and the question to a person.
#pragma once

#include "client/cli/target.hpp"
#include "client/connection/known_hosts.hpp"

namespace frsh {

enum class Trust {
    Known,
    Pinned,   // By a server of our own user.
    Unknown,  // To be asked about, with no connection held open: ask_about().
};
// Adds the key where the options say so (--accept-new, --trust, StrictHostKeyChecking=no). Throws
// UserError for a key that changed or was revoked, and for an unknown one where nobody can be
// asked.
[[nodiscard]] Trust judge_host(const ClientOptions& options, const Target& target, bool is_loopback,
                               const PublicKey& key);

// Asks on the terminal, and writes the key down for a yes. Throws UserError for a no.
void ask_about(const ClientOptions& options, const Target& target, const PublicKey& key);

}  // namespace frsh
