// Our stdin as the stdin of a run.
#pragma once

#include "client/lent_input.hpp"
#include "client/remote_run.hpp"

namespace frsh {

class LocalInput {
  public:
    // Reads `fd` as fast as `run` takes it, and ends the run's stdin where it ends.
    LocalInput(EventLoop& loop, int fd, RemoteRun& run);

  private:
    void on_readable();

    LentInput input_;
    bool is_done_ = false;
    RemoteRun& run_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
