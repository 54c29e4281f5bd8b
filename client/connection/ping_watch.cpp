#include "client/connection/ping_watch.hpp"

#include "common/proto/message.hpp"

#include <string>
#include <utility>

namespace frsh {

PingWatch::PingWatch(EventLoop& loop, Link& link, const KeepAlive& keep_alive, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      on_silent_(std::move(on_silent)),
      timer_(
          loop, "ping watch: next ping", [this] { on_timer(); },
          [this] { return !link_.is_down(); }) {
    timer_.expire_every(keep_alive.interval);
}

// Several expirations at once count as one: this client itself was stopped, and the answers of the
// server may wait in the socket.
void PingWatch::on_timer() {
    if (unanswered_ < keep_alive_.count) {
        ++unanswered_;
        return link_.send(msg::Ping{});
    }
    const OnSilent call = on_silent_;  // A copy: the call may destroy this object.
    call("the server has not answered " + std::to_string(unanswered_) +
         " pings (ServerAliveInterval)");
}

}  // namespace frsh
