// Parses sshd's AuthorizedPrincipalsFile: the principals of certificates that open one account,
// each with the options of authorized_keys in front of it.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "server/login/authorized_keys.hpp"

#include <optional>
#include <string_view>

namespace frsh {

// Returns an entry for the certified key with the options of the first line that has a principal of
// the certificate; nothing if there is none. Such a line without valid options is passed over, as
// in sshd. The entry's `principals` is that principal.
[[nodiscard]] std::optional<AuthorizedKey> find_principal(std::string_view text,
                                                          const Certificate& certificate);

}  // namespace frsh
