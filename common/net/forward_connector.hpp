// ForwardConnector makes one connection for a forwarding, in a child process: the child looks up
// the name, connects, and passes the socket back. So a name server or a host that never answers
// delays nothing else of the process.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace frsh {

// Looking up the name and connecting may take this long together.
inline constexpr std::chrono::seconds kForwardConnectTimeout{10};

struct ConnectFailure {
    int error = 0;  // errno; 0 if none applies, for example to a name that does not exist.
    std::string message;
};

class ForwardConnector {
  public:
    using Result = std::variant<Fd, ConnectFailure>;

    // Starts the child. A connection is reset when it is closed; see at_close(). `to` is a host and
    // a port, or the path of a unix socket alone. `on_result` is called once, from the loop. Throws
    // SysError if no process can be had.
    ForwardConnector(EventLoop& loop, const std::vector<std::string>& to,
                     std::function<void(Result)> on_result);
    // Kills the child if it has not answered.
    ~ForwardConnector();
    ForwardConnector(const ForwardConnector&) = delete;
    ForwardConnector& operator=(const ForwardConnector&) = delete;

    // Returns the child, for its parent to reap; -1 after reaped().
    [[nodiscard]] pid_t pid() const { return pid_; }
    void reaped() { pid_ = -1; }
    // Kills the child and reaps it, for a parent that reaps no children otherwise.
    void reap();

  private:
    void on_readable();

    std::function<void(Result)> on_result_;
    Fd answer_;
    pid_t pid_ = -1;
    EventLoop::Watch watch_;
};

}  // namespace frsh
