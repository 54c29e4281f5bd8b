// Reads the configuration again while the server runs (SIGHUP).
#pragma once

#include "common/keys/ssh_key.hpp"
#include "server/audit_file.hpp"
#include "server/options.hpp"

#include <optional>

namespace frsh {

// What the sessions of a running server begin with.
struct LiveConfiguration {
    ServerOptions options;
    AuditFile audit;
};

// Replaces `live` by what the command line and the file have now, and opens the audit file anew.
// Addresses and sockets stay as they are: a change of them is logged. With `needs_host_key`, the
// host key is read or made, and returned. Throws UserError, SysError or TlsError; `live` is
// unchanged then.
std::optional<PublicKey> reload(LiveConfiguration& live, const ServerOptions& command_line,
                                bool needs_host_key);

}  // namespace frsh
