// One thread, one poll(2), and a list of named watches: the whole data path can be read off it.
//
// Each watch answers two questions: what are you waiting for *now*, and what do you do when it
// happens. Waiting for nothing is how back-pressure is spelled: a reader whose destination is full
// asks for no POLLIN, and the kernel holds the bytes. poll(2) is level-triggered: what was not
// dealt with is simply reported again, so a callback may do as little as it likes.
//
// Time is a value. Whatever has deadlines says when the next one is; the owner passes the earliest
// to run_once() and then asks each to act on "now". The loop itself keeps no timers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>

namespace frsh {

class EventLoop {
  public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    static constexpr Time kNever = Time::max();

    using Wanted = std::function<short()>;     // POLLIN, POLLOUT, both, or 0 for not now.
    using Ready = std::function<void(short)>;  // The events that fired.

    struct WatchState {
        std::string name;
        int fd = -1;
        Wanted wanted;
        Ready ready;
    };
    using Watch = std::shared_ptr<WatchState>;

    // Keep the handle as long as the descriptor is to be watched. Declare it after the Fd it
    // watches, so that it is destroyed first. The loop lends descriptors; it never owns them.
    [[nodiscard]] Watch watch(std::string name, int fd, Wanted wanted, Ready ready);

    // Wait once, at most until `deadline`, and call whatever became ready. Returns false without
    // waiting when no watch wants anything and there is no deadline: nothing could ever happen.
    bool run_once(Time deadline = kNever);

  private:
    std::vector<std::weak_ptr<WatchState>> watches_;
    std::vector<Watch> order_;  // Kept between turns for their memory only; empty outside run_once.
    std::vector<pollfd> polled_;
};

}  // namespace frsh
