// Reports on stderr what the exit code of a run cannot express.
#pragma once

#include "client/run/remote_run.hpp"

#include <string>

namespace frsh {

// Logs one line that names the processes which still hold a stream open, and one that names those
// which could not be ended. `where` begins each line, for example "line 3: ".
void report_processes(const RemoteRun& run, const std::string& where);

}  // namespace frsh
