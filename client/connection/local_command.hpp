// LocalCommand of ssh_config(5): one command on this machine, run after the login.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"

#include <functional>
#include <string>

namespace frsh {

class LocalCommand {
  public:
    // Starts the command with the user's shell. Calls `on_end` from the loop once it has ended; a
    // command that cannot be started, or that fails, is reported. Its stdin is /dev/null.
    LocalCommand(EventLoop& loop, const std::string& command, std::function<void()> on_end);

  private:
    void finish();

    std::function<void()> on_end_;
    Spawned process_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
