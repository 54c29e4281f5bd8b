// ShellProgram is the process of a shell: bash on a private terminal or, if there is no bash, sh.
//
// The process runs shell_loop.bash or shell_loop.sh, and exchanges turns and reports with the
// server over two private descriptors.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/run/launch.hpp"
#include "server/run/private_folder.hpp"
#include "server/run/shell_terminal.hpp"

#include <memory>
#include <string>

#include <sys/types.h>

namespace frsh {

struct ShellProgram {
    std::string kind;  // "bash" or "sh"
    pid_t pid = 0;
    std::unique_ptr<ShellTerminal> terminal;  // Bash only; null for sh.
    Fd commands;                              // The server writes the numbers of turns here.
    Fd reports;  // Non-blocking; the shell writes reports here (shell_report.hpp).
};

// Whether a shell reads the start-up files of its user.
enum class StartUp { Read, LeftOut };

// Starts the shell. `folder` gets the file "start" and later the files of each turn; `mark` is a
// variable of its environment, "NAME=VALUE". Throws SysError, or UserError if the program cannot be
// started.
[[nodiscard]] ShellProgram start_shell(EventLoop& loop, const msg::ShellOpen& open,
                                       const LaunchContext& context, PrivateFolder& folder,
                                       const std::string& mark, StartUp start_up);

}  // namespace frsh
