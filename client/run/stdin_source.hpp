// StdinSource copies the stdin of frsh to the stdin of a run.
#pragma once

#include "client/io/inherited_input.hpp"
#include "client/run/remote_run.hpp"

namespace frsh {

class StdinSource {
  public:
    // Reads `fd` as fast as `run` accepts bytes, and ends the run's stdin at its end. Both are
    // lent.
    StdinSource(EventLoop& loop, int fd, RemoteRun& run);

  private:
    void on_readable();

    InheritedInput input_;
    bool is_done_ = false;
    RemoteRun& run_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
