// Pseudo-terminals: a pair of descriptors with a terminal between them.
#pragma once

#include "common/sys/fd.hpp"

#include <sys/types.h>

namespace frsh {

struct Pty {
    Fd master;  // Ours: what is written here is typed, what is read was printed. Non-blocking.
    Fd slave;   // The program's.
};
[[nodiscard]] Pty open_pty();

// The process group that the terminal would interrupt, or -1 where it has none.
[[nodiscard]] pid_t foreground_group(int master);

}  // namespace frsh
