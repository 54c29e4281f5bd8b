// The interface to a service manager (systemd): inherited sockets as in sd_listen_fds(3), and
// status messages as in sd_notify(3). Each takes a few lines, so that libsystemd is not needed.
#pragma once

#include "common/sys/fd.hpp"

#include <vector>

namespace frsh {

// Returns the sockets that the manager opened for this process, close-on-exec. Throws UserError if
// one is not listening.
[[nodiscard]] std::vector<Fd> take_given_sockets();

// What a listener reports to its supervisor: one byte through a pipe.
enum class SystemdState : char {
    Ready = 'r',     // The listener listens.
    Stopping = 's',  // The listener no longer listens; its sessions go on.
};

// Forks if the manager has set NOTIFY_SOCKET, and returns in the child with a pipe for
// SystemdState. The parent becomes the supervisor, which the manager watches. The supervisor passes
// states on to the manager, SIGHUP on to the child, and SIGINT and SIGTERM as SIGTERM. It exits as
// soon as nothing listens. The child lives until its sessions have ended; a restart of the service
// does not wait for them. Without a manager, returns at once with a closed Fd. Throws SysError.
[[nodiscard]] Fd fork_supervisor();

}  // namespace frsh
