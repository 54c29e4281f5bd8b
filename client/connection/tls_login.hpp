// The way to a server over TCP and TLS: look up, connect, shake hands, see who it is, and prepare
// the login. What comes back is a connection on which the login and the first request can leave
// together.
//
//     TCP ──▶ TLS ──▶ greeting: host proof ──▶ known_hosts ──▶ which key? ──▶ signature
//                                                              (a probe, only where several might
//                                                              do)
#pragma once

#include "client/cli/options.hpp"
#include "client/connection/connect.hpp"

namespace frsh {

// Throws UserError, SysError or TlsError, ready to be shown. May ask a person (trust on first use,
// a key's passphrase); the limit of --connect-timeout leaves that time out.
[[nodiscard]] Connection connect_tls(const ClientOptions& options);

// When the time for reaching a server is over, from now.
[[nodiscard]] EventLoop::Time deadline_of(const ClientOptions& options);

}  // namespace frsh
