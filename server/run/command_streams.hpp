// CommandStreams are the server's ends of a command's three streams.
#pragma once

#include "common/sys/fd.hpp"

namespace frsh {

struct CommandStreams {
    Fd in;   // Not open if the command's stdin is /dev/null.
    Fd out;  // On a terminal, out carries stdout and stderr, and err is not open.
    Fd err;
};

}  // namespace frsh
