// What every frsh program does before anything else.
#pragma once

#include <string>

namespace frsh {

// Makes sure that 0, 1 and 2 are open, so that no descriptor of ours is ever taken for one of them;
// which of them were closed is remembered. Ignores SIGPIPE (see fd.hpp).
struct StandardStreams {
    bool was_open[3];
};
StandardStreams secure_standard_streams();

// The folder of the program that runs, without a slash at its end.
[[nodiscard]] std::string program_folder();

}  // namespace frsh
