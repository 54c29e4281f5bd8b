// Our stdin, lent by whoever started us and left as it was (see sink.hpp), as the stdin of a run.
#pragma once

#include "client/remote_run.hpp"

namespace frsh {

class LocalInput {
  public:
    // Reads `fd` as fast as `run` takes it, and ends the run's stdin where it ends.
    LocalInput(EventLoop& loop, int fd, RemoteRun& run);

  private:
    void on_readable();

    int fd_;
    Fd own_;  // A pipe, opened anew without waiting.
    bool is_socket_ = false;
    bool is_done_ = false;
    RemoteRun& run_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
