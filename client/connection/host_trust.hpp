// Judges the host key of a server: trusted, unknown or refused. Asks the user about an unknown one.
#pragma once

#include "client/cli/route.hpp"
#include "client/cli/target.hpp"
#include "client/connection/known_hosts.hpp"
#include "common/keys/proof.hpp"

namespace frsh {

enum class Trust {
    Known,
    Pinned,   // A server of the same user recorded this key on this machine.
    Unknown,  // Close the connection, call ask_about(), and connect again.
};
// Adds the key of an unknown host to the policy's own file if the policy says Trust. Throws
// UserError for a key that has changed or was revoked, and for an unknown host if the user may not
// or cannot be asked.
[[nodiscard]] Trust judge_host(const HostKeyPolicy& policy, const Target& target, bool is_loopback,
                               const HostProof& proof);

// Asks the user on /dev/tty, blocks until the answer, and records the key if the answer is yes.
// Throws UserError for any other answer and WaitCanceled if `cancel_fd` becomes readable.
void ask_about(const HostKeyPolicy& policy, const Target& target, const PublicKey& key,
               int cancel_fd);

}  // namespace frsh
