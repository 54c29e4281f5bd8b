// Which key this server proves itself with, and where that is known without asking.
#pragma once

#include "common/keys/private_key.hpp"

#include <string>

namespace frsh {

// Returns the path of the default host key. For root: the key of the machine's ssh server, which
// clients may know already, else /etc/frsh/host_ed25519. For a user: ~/.config/frsh/host_ed25519.
[[nodiscard]] std::string usual_host_key();

// Loads the key, or makes it where it is our own and there is none. Throws UserError or SysError.
[[nodiscard]] PublicKey prepare_host_key(const std::string& path);

// As above, of a key that must be there.
[[nodiscard]] PrivateKey load_host_key(const std::string& path);

// Leaves PORT.pub in the runtime folder, which only the same user can: clients take it as pin.
// Returns its path.
std::string leave_pin(unsigned port, const PublicKey& key);

}  // namespace frsh
