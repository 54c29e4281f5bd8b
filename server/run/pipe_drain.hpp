// PipeDrain reads and drops what is still written into pipes of runs that are over.
//
// A background process of a run may hold the run's stdout longer than the run lasts. Without a
// reader its next write would be its death (SIGPIPE), or would block once the pipe is full.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <memory>
#include <vector>

namespace frsh {

class PipeDrain {
  public:
    explicit PipeDrain(EventLoop& loop) : loop_(loop) {}

    // Takes ownership of a read end, and closes it at end of file. If 64 pipes are already being
    // drained, the oldest of them is closed.
    void add(Fd pipe);

  private:
    struct Drained {
        Fd pipe;
        EventLoop::Watch watch;
    };

    EventLoop& loop_;
    std::vector<std::unique_ptr<Drained>> pipes_;
};

}  // namespace frsh
