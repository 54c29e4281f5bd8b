#include "client/connection/ping_watch.hpp"

#include "common/base/error.hpp"
#include "common/proto/message.hpp"

#include <string>
#include <utility>

#include <poll.h>
#include <sys/timerfd.h>

namespace frsh {

PingWatch::PingWatch(EventLoop& loop, Link& link, const KeepAlive& keep_alive, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      on_silent_(std::move(on_silent)),
      timer_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {
    const itimerspec each{{keep_alive.interval.count(), 0}, {keep_alive.interval.count(), 0}};
    check(::timerfd_settime(timer_.get(), 0, &each, nullptr), "timerfd");
    timer_watch_ = loop.watch(
        "ping watch: next ping", timer_.get(),
        [this] { return link_.is_down() ? short{0} : short{POLLIN}; },
        [this](short) { on_timer(); });
}

// Several expirations at once count as one: this client itself was stopped, and the answers of the
// server may wait in the socket.
void PingWatch::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    if (unanswered_ < keep_alive_.count) {
        ++unanswered_;
        return link_.send(msg::Ping{});
    }
    const OnSilent call = on_silent_;  // A copy: the call may destroy this object.
    call("the server has not answered " + std::to_string(unanswered_) +
         " pings (ServerAliveInterval)");
}

}  // namespace frsh
