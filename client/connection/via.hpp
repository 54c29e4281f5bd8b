// A command whose stdin and stdout are the connection: --via, ProxyCommand, and the server that the
// client starts for the target `local`.
#pragma once

#include "client/cli/jump.hpp"
#include "client/connection/child_tree.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <string>

namespace frsh {

struct Via {
    Fd socket;  // The near end of a socketpair; the far end is the child's stdin and stdout.
    MarkedChild child;
    Fd reports = {};  // What a frsh for a jump host reports (HopReports); else closed.
};

// Starts `command` by sh, in the session of this process, so that it can ask for a passphrase on
// the terminal. It ignores SIGINT: Ctrl-C is for the remote command. Throws UserError or SysError.
[[nodiscard]] Via start_via(const std::string& command);

// Starts the program that leads to the server through the jump hosts, as start_via() does. A frsh
// gives up at the deadline, and obeys Ctrl-C until its connection is made. Throws UserError or
// SysError.
[[nodiscard]] Via start_jump(const JumpCommand& jump, EventLoop::Time deadline);

// Starts `frshd --stdio`: the program beside this one, else the first in PATH. Throws UserError or
// SysError.
[[nodiscard]] Via start_local_server();

}  // namespace frsh
