// The rules of sshd_config for keys and certificates, whatever account they open.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "server/login/sshd_policy.hpp"

#include <optional>
#include <string>

namespace frsh {

// Returns why sshd accepts no login by this key or certificate: PubkeyAcceptedAlgorithms,
// CASignatureAlgorithms or RequiredRSASize.
[[nodiscard]] std::optional<std::string> find_key_refusal(const SshdPolicy& policy,
                                                          const Credential& credential);

}  // namespace frsh
