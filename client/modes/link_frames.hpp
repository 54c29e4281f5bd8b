// Passes the frames of an established connection through stdin and stdout (--link), so that a
// program in any language speaks PROTOCOL.md and needs neither TLS nor keys.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// Logs in, then passes bytes both ways until either side ends. The program sends its own hello,
// and dials again to resume. The end of stdin sends `bye`. Returns the exit code: 0 when the
// program ended first. Throws UserError where the server refused the login.
int run_link_frames(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
