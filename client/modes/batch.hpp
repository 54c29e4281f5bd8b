// Many commands over one link: each line of stdin is a run of its own.
//
// Output comes out in the order of the lines, each run's whole, however many run at once: the first
// that has not ended writes straight through, what the others write is held until it is their turn.
#pragma once

#include "client/cli/options.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// The program's exit code: 0 only if every run exited with 0, else that of the first, in the order
// of the lines, that did not.
int run_batch(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
