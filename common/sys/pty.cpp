#include "common/sys/pty.hpp"

#include "common/base/error.hpp"
#include "common/sys/terminal_modes.hpp"

#include <algorithm>
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

TypingModes typing_modes(int terminal) {
    termios now{};
    if (::tcgetattr(terminal, &now) == -1) return {};
    TypingModes modes{(now.c_lflag & ECHO) != 0, (now.c_lflag & ICANON) != 0};
    const bool interrupts = (now.c_lflag & ISIG) != 0 && now.c_cc[VINTR] != _POSIX_VDISABLE;
    if (interrupts) modes.interrupt = static_cast<char>(now.c_cc[VINTR]);
    return modes;
}

// Without ICANON, the kernel also hands out a line that has not ended, and read(2) does not wait.
std::string take_unread(int slave) {
    termios before{};
    if (::tcgetattr(slave, &before) == -1) return "";
    termios taking = before;
    taking.c_lflag &= ~static_cast<tcflag_t>(ICANON);
    taking.c_cc[VMIN] = 0;
    taking.c_cc[VTIME] = 0;
    if (::tcsetattr(slave, TCSANOW, &taking) == -1) return "";
    std::string bytes;
    char buffer[4096];
    for (;;) {
        const IoResult result = read_some(slave, buffer, sizeof buffer);
        if (result.status != IoResult::Status::Done) break;
        bytes.append(buffer, result.bytes);
    }
    (void)::tcsetattr(slave, TCSANOW, &before);
    // The kernel keeps a typed EOF character as a NUL.
    if ((before.c_lflag & ICANON) != 0) {
        std::replace(bytes.begin(), bytes.end(), '\0', static_cast<char>(before.c_cc[VEOF]));
    }
    return bytes;
}

std::optional<char> eof_character(int terminal) {
    termios now{};
    if (::tcgetattr(terminal, &now) == -1 || now.c_cc[VEOF] == _POSIX_VDISABLE) return std::nullopt;
    return static_cast<char>(now.c_cc[VEOF]);
}

}  // namespace frsh
