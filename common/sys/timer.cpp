#include "common/sys/timer.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <utility>

#include <poll.h>
#include <sys/timerfd.h>

namespace frsh {
namespace {

using std::chrono::nanoseconds;

timespec to_timespec(nanoseconds time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    return {seconds.count(), (time - seconds).count()};
}

}  // namespace

Timer::Timer(EventLoop& loop, const std::string& name, std::function<void()> on_expired,
             std::function<bool()> is_wanted)
    : timer_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {
    watch_ = loop.watch(
        name, timer_.get(),
        [is_wanted = std::move(is_wanted)] {
            return !is_wanted || is_wanted() ? short{POLLIN} : short{0};
        },
        [fd = timer_.get(), on_expired = std::move(on_expired)](short) {
            char expirations[8];
            (void)read_some(fd, expirations, sizeof expirations);
            on_expired();  // May destroy the timer. The loop keeps this function until it returns.
        });
}

void Timer::expire_at(EventLoop::Time when) {
    expire_after(when - EventLoop::Clock::now());
}

// A time of zero would switch the timer off (timerfd_settime(2)).
void Timer::expire_after(nanoseconds wait) {
    set(std::max(wait, nanoseconds(1)), {});
}

void Timer::expire_every(nanoseconds interval) {
    set(interval, interval);
}

void Timer::stop() {
    set({}, {});
}

void Timer::set(nanoseconds first, nanoseconds interval) {
    const itimerspec times{to_timespec(interval), to_timespec(first)};
    check(::timerfd_settime(timer_.get(), 0, &times, nullptr), "timerfd");
}

}  // namespace frsh
