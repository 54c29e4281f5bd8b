// Words for the failures of a TLS handshake.
#pragma once

#include <string>

namespace frsh {

// Returns a text for an error of OpenSSL (ERR_GET_REASON(3)) that the user can act on; "" for other
// errors.
[[nodiscard]] std::string describe_failure(int reason);

}  // namespace frsh
