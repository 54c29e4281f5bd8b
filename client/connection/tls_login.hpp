// Connects over TCP and TLS: look up the name, connect, shake hands, check the host key, prepare
// the login. The login and the first request can then leave together, in one flight.
//
//     TCP ──▶ TLS ──▶ greeting: host proof ──▶ known_hosts ──▶ choose a key ──▶ signature
//                                                              (a probe only if several keys
//                                                              may be accepted)
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/route.hpp"
#include "client/connection/connection.hpp"
#include "common/sys/wait.hpp"

namespace frsh {

// Blocks up to the deadline of `limit`. A question to the user (trust on first use, a passphrase)
// does not count: it moves the deadline. Throws UserError, SysError or TlsError with a text for the
// user, or WaitCanceled.
[[nodiscard]] Connection connect_tls(const TlsRoute& route, const WaitLimit& limit);

// Implements --trust: connects, records the host key, and closes without a login. Throws as
// connect_tls() does.
void trust_host(const ClientOptions& options);

}  // namespace frsh
