// Connects through a link holder if the options want that (--share), and starts the holder if there
// is none.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/connection/connection.hpp"
#include "client/holder/link_place.hpp"

namespace frsh {

// Returns true if the options want a shared link and their request can use one.
[[nodiscard]] bool may_share(const ClientOptions& options);

// Returns a connection to the holder of the link. Connects directly, as connect_to() does, if the
// options want no sharing, or the holder does not answer at once. Throws as connect_to() does.
[[nodiscard]] Connection connect_or_share(const ClientOptions& options);

// Returns true if a client with these options starts a holder where none is: not with a ControlPath
// but no ControlMaster.
[[nodiscard]] bool may_start_holder(const ClientOptions& options);
// Starts a holder and waits for the end of its login. Returns false if another holder is there.
// Throws StageError for a failed login, UserError for a ControlPath that cannot be made, SysError.
bool start_holder(const ClientOptions& options, const LinkPlace& place);

// Prints a line for each shared link. Returns the exit code.
int list_links();
// Ends the sharing of each link to the target's host and port; runs that use it go on to their
// end. Returns the exit code: 1 if there is none.
int unshare(const ClientOptions& options);

}  // namespace frsh
