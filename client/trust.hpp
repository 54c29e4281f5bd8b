// Is this the host we mean? The verdict over its key, in words, and the question to a person.
#pragma once

#include "client/options.hpp"
#include "common/net/address.hpp"
#include "common/net/known_hosts.hpp"

#include <string>

namespace frsh {

// What is known about host keys here: frsh's own file, ssh's, and for a host of this machine the
// pin that a server of the same user left in the runtime folder.
[[nodiscard]] HostKeySources host_key_sources(const HostPort& where, bool is_loopback);

enum class Trust {
    Known,
    Pinned,   // By a server of our own user.
    Unknown,  // To be asked about, with no connection held open: ask_about().
};
// Adds the key where the options say so (--accept-new, --trust). Throws UserError for a key that
// changed or was revoked, and for an unknown one where nobody can be asked.
[[nodiscard]] Trust judge_host(const ClientOptions& options, const HostPort& where,
                               bool is_loopback, const PublicKey& key);

// Asks on the terminal, and writes the key down for a yes. Throws UserError for a no.
void ask_about(const HostPort& where, const PublicKey& key);

}  // namespace frsh
