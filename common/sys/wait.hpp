// Blocking waits that another thread can cancel.
//
// A thread that looks up a name, connects or shakes hands blocks for seconds. Its owner must be
// able to end it at once. So each blocking call takes a WaitLimit: a deadline, and a descriptor
// that becomes readable when the call is canceled.
#pragma once

#include "common/sys/event_loop.hpp"

#include <stdexcept>

namespace frsh {

struct WaitLimit {
    // Implicit: most callers have only a deadline.
    WaitLimit(EventLoop::Time until, int cancel = -1) : deadline(until), cancel_fd(cancel) {}
    EventLoop::Time deadline;
    int cancel_fd;  // Lent, an eventfd(2) for example; -1: the call cannot be canceled.
};

// Thrown by a call that was canceled.
class WaitCanceled : public std::runtime_error {
  public:
    WaitCanceled() : std::runtime_error("canceled") {}
};

// Thrown when the user pressed Ctrl-C at a question. The exit code is 130, as a shell reports it.
class Interrupted : public std::runtime_error {
  public:
    Interrupted() : std::runtime_error("interrupted") {}
};

// Blocks until poll(2) reports one of `events` (or an error) for `fd`, and returns true. Returns
// false at the deadline. If `fd` is -1, only the deadline and the cancellation count. Throws
// WaitCanceled or SysError.
[[nodiscard]] bool wait_for_events(int fd, short events, const WaitLimit& limit);

// Throws WaitCanceled if the call was canceled. Never blocks.
void check_canceled(const WaitLimit& limit);

}  // namespace frsh
