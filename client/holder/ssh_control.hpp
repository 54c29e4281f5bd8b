// What ControlMaster, ControlPath and -O of ssh mean: requests to the link holder of a ControlPath.
#pragma once

#include "client/cli/client_options.hpp"

#include <optional>

namespace frsh {

// Sends the request of -O, and writes to stderr what ssh would. Returns the exit code. Throws
// UserError.
int control_link(const ClientOptions& options);

// Has the holder of the ControlPath do the forwardings, and removes them from the options. Leaves
// them there if no holder may be used.
void hand_over_forwards(ClientOptions& options);

// -N with a ControlPath: uses the holder's link, or starts the holder with ControlMaster. Stays
// until the holder ends or a signal comes; with -f returns at once. Returns the exit code; nothing
// if no holder is there and none is wanted. Throws as start_holder() does.
std::optional<int> run_master(ClientOptions& options);

}  // namespace frsh
