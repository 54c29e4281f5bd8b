// The name space of a key that is bound to a command.
#pragma once

#include "server/login/authorized_keys.hpp"

#include <string>

namespace frsh {

// Returns the name of the key with its options: 32 hexadecimal digits. The name changes with each
// option, so what ran under another condition is out of the key's reach.
[[nodiscard]] std::string name_of_bound_key(const AuthorizedKey& key);

}  // namespace frsh
