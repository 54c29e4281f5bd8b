#include "common/sys/pty.hpp"

#include "common/base/error.hpp"
#include "common/sys/terminal_modes.hpp"

#include <cstdlib>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace frsh {

// A terminal belongs to a session (setsid(2)). The session's leader makes it the controlling
// terminal by TIOCSCTTY. From then on, the kernel turns Ctrl-C into a signal to one process group
// of the session, the foreground group. A shell chooses which of its jobs is the foreground group.
Pty open_pty() {
    Pty pty;
    pty.master = Fd(check(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt"));
    check(::grantpt(pty.master.get()), "grantpt");
    check(::unlockpt(pty.master.get()), "unlockpt");
    char name[64];
    if (const int error = ::ptsname_r(pty.master.get(), name, sizeof name)) {
        throw SysError("ptsname", error);
    }
    // O_NOCTTY: the terminal must not become the controlling terminal of this process.
    pty.slave = Fd(check(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), "open pty"));
    set_nonblocking(pty.master.get());
    pty.name = name;
    return pty;
}

pid_t foreground_group(int master) {
    return ::tcgetpgrp(master);
}

std::optional<WindowSize> window_size(int terminal) {
    winsize size{};
    if (::ioctl(terminal, TIOCGWINSZ, &size) == -1) return std::nullopt;
    return WindowSize{size.ws_col, size.ws_row, size.ws_xpixel, size.ws_ypixel};
}

void set_window_size(int terminal, const WindowSize& size) {
    const auto cells = [](unsigned value) { return static_cast<unsigned short>(value); };
    winsize wanted{};
    wanted.ws_col = cells(size.columns);
    wanted.ws_row = cells(size.rows);
    wanted.ws_xpixel = cells(size.width);
    wanted.ws_ypixel = cells(size.height);
    (void)::ioctl(terminal, TIOCSWINSZ, &wanted);  // Fails if the terminal is gone: no harm.
}

void set_terminal_modes(int terminal, const TerminalModes& modes) {
    termios now{};
    check(::tcgetattr(terminal, &now), "tcgetattr");
    set_modes(now, modes);
    check(::tcsetattr(terminal, TCSANOW, &now), "tcsetattr");
}

std::optional<char> eof_character(int terminal) {
    termios now{};
    if (::tcgetattr(terminal, &now) == -1 || now.c_cc[VEOF] == _POSIX_VDISABLE) return std::nullopt;
    return static_cast<char>(now.c_cc[VEOF]);
}

}  // namespace frsh
