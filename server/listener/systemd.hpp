// What a service manager (systemd) and its service say to each other: sockets come in, as
// sd_listen_fds(3) has them, and words go out, as sd_notify(3) has them. Each is a few lines, so no
// library of theirs is needed.
#pragma once

#include "common/sys/fd.hpp"

#include <vector>

namespace frsh {

// The sockets that were opened for this process, close-on-exec; nothing where there are none.
// Throws UserError for one that is not listening.
[[nodiscard]] std::vector<Fd> take_given_sockets();

// What a listener says to whoever stands in front of it, and the end of the pipe for that.
enum class SystemdState : char {
    Ready = 'r',     // It listens,
    Stopping = 's',  // and no longer does, though its sessions go on.
};

// Where a manager wants to hear from us (NOTIFY_SOCKET), forks, and returns in the child, with a
// pipe for SystemdState. The parent is what the manager sees as the service. It tells it both,
// hands a request to end down, and ends itself as soon as nothing listens: the child lives on with
// its sessions, reaps them and cleans up after them, and nobody who restarts the service waits for
// that. Without a manager: returns at once, with a pipe that is not open.
[[nodiscard]] Fd fork_supervisor();

}  // namespace frsh
