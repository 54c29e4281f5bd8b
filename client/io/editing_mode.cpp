#include "client/io/editing_mode.hpp"

#include <unistd.h>

namespace frsh {

void EditingMode::enter() {
    if (is_on_ || ::tcgetattr(terminal_, &before_) == -1) return;
    is_on_ = true;
    set();
}

void EditingMode::set() {
    termios mode = before_;
    mode.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO | ECHONL | IEXTEN));
    mode.c_lflag |= ISIG;
    // Enter is a carriage return, and Ctrl-S is a key.
    mode.c_iflag &= static_cast<tcflag_t>(~(ICRNL | INLCR | IGNCR | IXON | ISTRIP));
    mode.c_oflag |= OPOST | ONLCR;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    mode.c_cc[VSUSP] = _POSIX_VDISABLE;
    // TCSANOW: TCSADRAIN would block on a terminal that Ctrl-S has stopped.
    (void)::tcsetattr(terminal_, TCSANOW, &mode);
}

void EditingMode::leave() {
    if (!is_on_) return;
    is_on_ = false;
    (void)::tcsetattr(terminal_, TCSANOW, &before_);
}

void EditingMode::renew() {
    if (is_on_) set();
}

}  // namespace frsh
