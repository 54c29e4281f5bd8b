// The first steps of each program of the project.
#pragma once

#include <string>

namespace frsh {

// Opens /dev/null for each of 0, 1 and 2 that is closed, and records which were open. Otherwise a
// file or socket that is opened later would become stdin, stdout or stderr. Ignores SIGPIPE (see
// fd.hpp).
struct StandardStreams {
    bool was_open[3];
};
StandardStreams secure_standard_streams();

// Returns the folder of the running program, without a slash at its end.
[[nodiscard]] std::string program_folder();

}  // namespace frsh
