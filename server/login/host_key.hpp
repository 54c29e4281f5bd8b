// The key by which this server proves its identity, and the pin by which local clients of the same
// user trust it without a question.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_certificate.hpp"

#include <optional>
#include <string>

namespace frsh {

// Returns the path of the default host key. For root: the key of the machine's ssh server, which
// clients may know already, else /etc/frsh/host_ed25519. For a user: ~/.config/frsh/host_ed25519.
[[nodiscard]] std::string usual_host_key();

// Returns the public key. If the file does not exist, makes a new key. Throws UserError or
// SysError.
[[nodiscard]] PublicKey prepare_host_key(const std::string& path);

// Loads the private key, which must exist. Throws UserError or SysError.
[[nodiscard]] PrivateKey load_host_key(const std::string& path);

// Returns the certificate of the host key: from `path`, or if that is empty from HOST_KEY-cert.pub.
// Returns nothing if there is none. Logs a file that cannot be used.
[[nodiscard]] std::optional<Certificate> find_host_certificate(const std::string& host_key,
                                                               const std::string& path,
                                                               const PublicKey& key);

// Writes PORT.pub to the runtime folder and returns its path. Only the same user can write there,
// so this user's clients trust the key.
std::string leave_pin(unsigned port, const PublicKey& key);

}  // namespace frsh
