// Sends pings at an interval, if the user requested that (ServerAliveInterval), and reports a
// server that sends nothing for several of them.
//
// A PeerWatch notices a machine that is gone. A PingWatch also notices a server that is stopped, a
// proxy that acknowledges and passes nothing on, and a connection that is no socket of the network.
#pragma once

#include "common/link/link.hpp"
#include "common/net/socket.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/timer.hpp"

#include <functional>
#include <string>

namespace frsh {

class PingWatch {
  public:
    using OnSilent = std::function<void(const std::string& problem)>;

    // Sends the first ping after one interval. The link is lent and outlives this. `on_silent` is
    // called from the loop, and may destroy this.
    PingWatch(EventLoop& loop, Link& link, const KeepAlive& keep_alive, OnSilent on_silent);

    // Call it for each message of the server: any of them counts as an answer.
    void answered() { unanswered_ = 0; }

  private:
    void start_interval();
    void on_timer();

    Link& link_;
    KeepAlive keep_alive_;
    OnSilent on_silent_;
    unsigned unanswered_ = 0;
    EventLoop::Time due_;  // The end of the interval.
    Timer timer_;
};

}  // namespace frsh
