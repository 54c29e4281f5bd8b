// The event loop: one thread, one poll(2), and a list of named watches.
//
// Each watch has two functions: which events it waits for now, and what to do when one happens. A
// watch that waits for no event applies back-pressure: a reader whose destination is full does not
// ask for POLLIN, and the kernel holds the bytes. poll(2) is level-triggered: it reports an event
// again until the event is handled, so a callback may handle a part only.
//
// Time is a value. Each object with deadlines returns its next one. The owner passes the earliest
// to run_once() and then calls each object with the current time. The loop itself has no timers.
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

    using Wanted = std::function<short()>;     // POLLIN, POLLOUT, both, or 0 for none.
    using Ready = std::function<void(short)>;  // The events that fired.

    struct WatchState {
        std::string name;
        int fd = -1;
        Wanted wanted;
        Ready ready;
    };
    using Watch = std::shared_ptr<WatchState>;

    // Watches a descriptor for as long as the returned handle lives. Declare the handle after the
    // Fd, so that it is destroyed first. The loop does not own descriptors.
    [[nodiscard]] Watch watch(std::string name, int fd, Wanted wanted, Ready ready);

    // Waits once, at most until `deadline`, and calls the watches that became ready. Returns false
    // at once if no watch wants an event and there is no deadline: nothing could ever happen.
    bool run_once(Time deadline = kNever);

  private:
    std::vector<std::weak_ptr<WatchState>> watches_;
    std::vector<Watch> order_;  // Kept between turns for their memory only; empty outside run_once.
    std::vector<pollfd> polled_;
};

}  // namespace frsh
