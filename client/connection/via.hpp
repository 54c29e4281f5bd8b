// A command whose stdin and stdout are the connection: --via, ProxyCommand, and the server that the
// client starts for the target `local`.
#pragma once

#include "client/cli/jump.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <string>

namespace frsh {

struct Via {
    Fd socket;  // The near end of a socketpair; the far end is the child's stdin and stdout.
    Spawned child;
};

// Starts `command` by sh, in the session of this process, so that it can ask for a passphrase on
// the terminal. It ignores SIGINT: Ctrl-C is for the remote command. Throws UserError or SysError.
[[nodiscard]] Via start_via(const std::string& command);

// Starts ssh, which leads to the server through the jump hosts, as start_via() does. Throws
// UserError or SysError.
[[nodiscard]] Via start_jump(const JumpCommand& jump);

// Starts `frshd --stdio`: the program beside this one, else the first in PATH. Throws UserError or
// SysError.
[[nodiscard]] Via start_local_server();

}  // namespace frsh
