#include "common/sys/pty.hpp"

#include "common/base/error.hpp"

#include <cstdlib>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

namespace frsh {

// A terminal belongs to a session (setsid(2)): the session's leader makes it the controlling one by
// TIOCSCTTY, and from then on Ctrl-C and hang-ups on it become signals to one group of that
// session's processes, the foreground group. A shell moves its jobs in and out of that place.
Pty open_pty() {
    Pty pty;
    pty.master = Fd(check(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt"));
    check(::grantpt(pty.master.get()), "grantpt");
    check(::unlockpt(pty.master.get()), "unlockpt");
    char name[64];
    if (const int error = ::ptsname_r(pty.master.get(), name, sizeof name)) {
        throw SysError("ptsname", error);
    }
    // O_NOCTTY: opening a terminal must not make it ours.
    pty.slave = Fd(check(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), "open pty"));
    set_nonblocking(pty.master.get());
    return pty;
}

pid_t foreground_group(int master) {
    return ::tcgetpgrp(master);
}

}  // namespace frsh
