// Our stdin as the stdin of a run.
#pragma once

#include "client/io/inherited_input.hpp"
#include "client/run/remote_run.hpp"

namespace frsh {

class StdinSource {
  public:
    // Reads `fd` as fast as `run` takes it, and ends the run's stdin where it ends.
    StdinSource(EventLoop& loop, int fd, RemoteRun& run);

  private:
    void on_readable();

    InheritedInput input_;
    bool is_done_ = false;
    RemoteRun& run_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
