// Reads the configuration again while the server runs (SIGHUP).
#pragma once

#include "server/audit_file.hpp"
#include "server/login/host_key.hpp"
#include "server/options.hpp"

#include <optional>

namespace frsh {

// What the sessions of a running server begin with.
struct LiveConfiguration {
    ServerOptions options;
    AuditFile audit;
    std::optional<HostKey> host_key;  // With TLS.
};

// Opens the audit file of the settings. Throws SysError; an open file stays then.
void open_audit(AuditFile& audit, const ServerSettings& settings);

// Replaces `live` by what the command line and the files have now: the configuration, the audit
// file and, if there is one, the host key. Addresses and sockets stay as they are: a change of them
// is logged. Throws UserError, SysError or TlsError; `live` is unchanged then. A missing host key
// is an error too: a new one would lock out all clients that know the old one.
void reload(LiveConfiguration& live, const ServerOptions& command_line);

}  // namespace frsh
