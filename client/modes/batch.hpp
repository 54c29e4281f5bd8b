// Runs many commands over one link: each line of stdin is a run of its own.
//
// Output appears in the order of the lines, however many run at once. The first unfinished run
// writes directly; the output of the others is stored until their turn.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/sys/startup.hpp"

namespace frsh {

// Returns the program's exit code: 0 if every run exited with 0, else the code of the first line
// that did not.
int run_batch(const ClientOptions& options, const StandardStreams& streams);

}  // namespace frsh
