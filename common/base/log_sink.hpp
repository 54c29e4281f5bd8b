// Where the lines of the log go; log.hpp has the calls that write them.
#pragma once

namespace frsh::log {

// From now on a line is dropped if the reader of stderr is slow or gone. The number of such lines
// is logged once there is room again.
void never_wait_for_reader();

}  // namespace frsh::log
