// A timer that an event loop can watch (timerfd_create(2)), on the monotonic clock.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace frsh {

class Timer {
  public:
    // The timer is off at first. `is_wanted` may be empty: then it is always watched.
    // `on_expired` is called from the loop, and may destroy the timer. Several expirations at once
    // are one call. Throws SystemError where the kernel has no descriptor left.
    Timer(EventLoop& loop, const std::string& name, std::function<void()> on_expired,
          std::function<bool()> is_wanted = {});

    // Expires once at `when`; at once where that has passed.
    void expire_at(EventLoop::Time when);
    // Expires once after `wait`; at once where that is not positive.
    void expire_after(std::chrono::nanoseconds wait);
    // Expires after each `interval`, which is positive.
    void expire_every(std::chrono::nanoseconds interval);
    void stop();

  private:
    void set(std::chrono::nanoseconds first, std::chrono::nanoseconds interval);

    Fd timer_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
