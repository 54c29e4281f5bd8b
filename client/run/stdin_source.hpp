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
    // Reads nothing while `is_paused`: a question to the user reads the terminal.
    void pause(bool is_paused) { is_paused_ = is_paused; }

  private:
    void on_readable();

    InheritedInput input_;
    bool is_done_ = false;
    bool is_paused_ = false;
    RemoteRun& run_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
