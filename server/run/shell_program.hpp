// ShellProgram is the process of a shell: bash on a private terminal or, if there is no bash, sh.
//
// The process runs shell_loop.bash or shell_loop.sh, and exchanges turns and reports with the
// server over two private descriptors.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/pty.hpp"
#include "server/run/launch.hpp"
#include "server/run/private_folder.hpp"

#include <string>

#include <sys/types.h>

namespace frsh {

struct ShellProgram {
    std::string kind;  // "bash" or "sh"
    pid_t pid = 0;
    // Open for bash only. Both sides are held: if the server closed the slave, the terminal would
    // hang up whenever no process of the shell has it open.
    Pty terminal;
    // Drops what is printed on the terminal, so that printing there never blocks.
    EventLoop::Watch terminal_watch;
    Fd commands;  // The server writes the numbers of turns here.
    Fd reports;   // Non-blocking; the shell writes reports here (shell_report.hpp).
};

// Starts the shell. `folder` gets the file "start" and later the files of each turn; `mark` is a
// variable of its environment, "NAME=VALUE". Throws SysError, or UserError if the program cannot be
// started.
[[nodiscard]] ShellProgram start_shell(EventLoop& loop, const msg::ShellOpen& open,
                                       const LaunchContext& context, PrivateFolder& folder,
                                       const std::string& mark);

}  // namespace frsh
