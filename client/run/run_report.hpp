// What a person is told about a run that an exit code cannot say, on stderr.
#pragma once

#include "client/run/remote_run.hpp"

#include <string>

namespace frsh {

// One line about who still held a stream open, one about who could not be ended; none where there
// is nobody. `where` begins each, for example "line 3: ".
void report_processes(const RemoteRun& run, const std::string& where);

}  // namespace frsh
