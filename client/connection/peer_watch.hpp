// Watches the server's side of a connection. Reports a server that does not send its hello in time,
// and a machine that no longer answers keepalive (see is_peer_silent()).
#pragma once

#include "common/link/link.hpp"
#include "common/net/socket.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/timer.hpp"

#include <functional>
#include <optional>
#include <string>

namespace frsh {

class PeerWatch {
  public:
    using OnSilent = std::function<void(const std::string& problem)>;

    // Begins with the wait for the server's hello, up to `hello_deadline`. Without `keep_alive`,
    // only that is watched. The link is lent and outlives this. `on_silent` is called from the
    // loop, and may destroy this.
    PeerWatch(EventLoop& loop, const Link& link, const std::optional<KeepAlive>& keep_alive,
              EventLoop::Time hello_deadline, OnSilent on_silent);

    // Call it when the hello has arrived: from then on, only keepalive counts.
    void greeted() { hello_deadline_ = EventLoop::kNever; }

  private:
    void arm();
    void on_timer();

    const Link& link_;
    std::optional<KeepAlive> keep_alive_;
    EventLoop::Time hello_deadline_;
    OnSilent on_silent_;
    Timer timer_;
};

}  // namespace frsh
