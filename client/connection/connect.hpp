// From a target to a connection: a socket, or a server that is started as a child process.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/connection/connection.hpp"

namespace frsh {

// Blocks up to the connect timeout; a question to the user may take longer. Throws UserError,
// SysError or TlsError with a text for the user.
[[nodiscard]] Connection connect_to(const ClientOptions& options);

}  // namespace frsh
