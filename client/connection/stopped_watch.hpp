// Watches the process at the other end of a socket on this machine, the link holder. A process that
// is stopped (SIGSTOP, a debugger) answers nothing, and its kernel still accepts bytes.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/timer.hpp"

#include <functional>
#include <string>

#include <sys/types.h>

namespace frsh {

class StoppedWatch {
  public:
    using OnStopped = std::function<void(const std::string& problem)>;

    // Looks at the process every 200 ms, and calls `on_stopped` once it was stopped twice in a row.
    // The function is called from the loop, and may destroy this.
    StoppedWatch(EventLoop& loop, pid_t pid, OnStopped on_stopped);

  private:
    void on_timer();

    pid_t pid_;
    OnStopped on_stopped_;
    bool was_stopped_ = false;
    Timer timer_;
};

}  // namespace frsh
