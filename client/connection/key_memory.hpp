// The key that each server accepted last, so that the next login tries it first. It is kept in a
// file of lines "[host]:port USER FINGERPRINT" (line_memory.hpp). Without the file, a login needs
// one more round trip.
#pragma once

#include "client/connection/connection.hpp"

#include <string>

namespace frsh {

// Returns the fingerprint of the key; "" for an unknown server.
[[nodiscard]] std::string recall_key(const std::string& host, const std::string& user);

// Makes the next login try the accepted key first, and not a refused one. `was_recalled`: the login
// uses the key because the last one did.
enum class WasRecalled { Yes, No };
void remember_result(const std::string& host, const std::string& user,
                     const std::string& fingerprint, WasRecalled was_recalled, Login& login);

}  // namespace frsh
