#include "client/connection/ping_watch.hpp"

#include "common/proto/message.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// A timer that is later than this was not late by the load of the machine.
constexpr auto kLate = 50ms;

}  // namespace

PingWatch::PingWatch(EventLoop& loop, Link& link, const KeepAlive& keep_alive, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      on_silent_(std::move(on_silent)),
      timer_(
          loop, "ping watch: next ping", [this] { on_timer(); },
          [this] { return !link_.is_down(); }) {
    start_interval();
}

// Begins anew each time: with a fixed beat, the first ping after a stop (SIGSTOP) could have a few
// milliseconds for its answer.
void PingWatch::start_interval() {
    due_ = EventLoop::Clock::now() + keep_alive_.interval;
    timer_.expire_at(due_);
}

void PingWatch::on_timer() {
    // This client itself was stopped, and the answers of the server may wait in the socket.
    const bool was_stopped = EventLoop::Clock::now() > due_ + kLate;
    if (unanswered_ < keep_alive_.count) {
        ++unanswered_;
        link_.send(msg::Ping{});
        return start_interval();
    }
    if (was_stopped) return start_interval();
    const OnSilent call = on_silent_;  // A copy: the call may destroy this object.
    call("the server has not answered " + std::to_string(unanswered_) +
         " pings (ServerAliveInterval)");
}

}  // namespace frsh
