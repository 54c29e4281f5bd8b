// Revoked keys: a list of public keys, or a key revocation list (KRL) that ssh-keygen makes.
#pragma once

#include "common/keys/ssh_certificate.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// Returns true if a line of the text is the key, or the authority of its certificate. Lines that
// are no keys are passed over, as in sshd.
[[nodiscard]] bool is_in_key_list(std::string_view text, const Credential& credential);

// Returns why the file at `path` refuses this key or certificate, or nothing. `ssh-keygen -Q` reads
// a KRL; it may take up to five seconds. A file that cannot be read refuses every key.
[[nodiscard]] std::optional<std::string> find_revocation(const std::string& path,
                                                         const Credential& credential);

}  // namespace frsh
