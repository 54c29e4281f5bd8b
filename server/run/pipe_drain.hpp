// PipeDrain reads and drops the bytes that are still written to pipes of runs that are over.
//
// A background process of a run may hold the run's stdout longer than the run lasts. If the pipe
// had no reader, the next write would end the process (SIGPIPE). If the pipe were full, the next
// write would block.
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
