#include "client/connection/peer_watch.hpp"

#include "common/base/error.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/timerfd.h>

namespace frsh {
namespace {

// How often the login's deadline is checked. It is a limit for a server that hangs, so one second
// more does not matter.
constexpr std::chrono::seconds kLoginCheckInterval{1};

}  // namespace

PeerWatch::PeerWatch(EventLoop& loop, const Link& link, const KeepAlive& keep_alive,
                     EventLoop::Time login_deadline, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      login_deadline_(login_deadline),
      on_silent_(std::move(on_silent)),
      timer_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {
    arm();
    timer_watch_ = loop.watch(
        "peer watch: next check", timer_.get(),
        [this] { return link_.is_down() ? short{0} : short{POLLIN}; },
        [this](short) { on_timer(); });
}

void PeerWatch::arm() {
    const bool is_login = login_deadline_ != EventLoop::kNever;
    const auto interval = is_login ? kLoginCheckInterval : keep_alive_.interval;
    const itimerspec next{{0, 0}, {interval.count(), 0}};
    check(::timerfd_settime(timer_.get(), 0, &next, nullptr), "timerfd");
}

void PeerWatch::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    arm();
    const OnSilent call = on_silent_;  // A copy: the call may destroy this object.
    if (EventLoop::Clock::now() >= login_deadline_) {
        call("no answer to the login in time (--connect-timeout)");
    } else if (is_peer_silent(link_.transport()->read_fd(), keep_alive_)) {
        const auto silent = keep_alive_.interval * keep_alive_.count;
        call("the server's machine has not answered for " + std::to_string(silent.count()) +
             " seconds");
    }
}

}  // namespace frsh
