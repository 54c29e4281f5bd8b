// Watches the server's side of a TLS connection. Reports a server that does not answer the login in
// time, and a machine that no longer answers keepalive (see is_peer_silent()).
#pragma once

#include "common/link/link.hpp"
#include "common/net/socket.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <functional>
#include <string>

namespace frsh {

class PeerWatch {
  public:
    using OnSilent = std::function<void(const std::string& problem)>;

    // Begins with the wait for the login's answer, up to `login_deadline`. The link is lent and
    // outlives this. `on_silent` is called from the loop, and may destroy this.
    PeerWatch(EventLoop& loop, const Link& link, const KeepAlive& keep_alive,
              EventLoop::Time login_deadline, OnSilent on_silent);

    // Call it when the server has answered the login: from then on, only keepalive counts.
    void login_answered() { login_deadline_ = EventLoop::kNever; }

  private:
    void arm();
    void on_timer();

    const Link& link_;
    KeepAlive keep_alive_;
    EventLoop::Time login_deadline_;
    OnSilent on_silent_;
    Fd timer_;
    EventLoop::Watch timer_watch_;
};

}  // namespace frsh
