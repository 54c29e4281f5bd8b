#include "client/connection/peer_watch.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/timerfd.h>

namespace frsh {
namespace {

itimerspec once_after(std::chrono::nanoseconds wait) {
    const auto time = std::max<std::chrono::nanoseconds>(wait, std::chrono::milliseconds(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    return {{0, 0}, {seconds.count(), (time - seconds).count()}};
}

}  // namespace

PeerWatch::PeerWatch(EventLoop& loop, const Link& link, const std::optional<KeepAlive>& keep_alive,
                     EventLoop::Time hello_deadline, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      hello_deadline_(hello_deadline),
      on_silent_(std::move(on_silent)),
      timer_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {
    arm();
    timer_watch_ = loop.watch(
        "peer watch: next check", timer_.get(),
        [this] { return link_.is_down() ? short{0} : short{POLLIN}; },
        [this](short) { on_timer(); });
}

void PeerWatch::arm() {
    itimerspec next{};  // All zero: the timer is off.
    if (hello_deadline_ != EventLoop::kNever) {
        next = once_after(hello_deadline_ - EventLoop::Clock::now());
    } else if (keep_alive_) {
        next = once_after(keep_alive_->interval);
    }
    check(::timerfd_settime(timer_.get(), 0, &next, nullptr), "timerfd");
}

void PeerWatch::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    const bool is_too_late = EventLoop::Clock::now() >= hello_deadline_;
    arm();
    const OnSilent call = on_silent_;  // A copy: the call may destroy this object.
    if (is_too_late) {
        call("no answer in time (--connect-timeout)");
    } else if (keep_alive_ && is_peer_silent(link_.transport()->read_fd(), *keep_alive_)) {
        const auto silent = keep_alive_->interval * keep_alive_->count;
        call("the server's machine has not answered for " + std::to_string(silent.count()) +
             " seconds");
    }
}

}  // namespace frsh
