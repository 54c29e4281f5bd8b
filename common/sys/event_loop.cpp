#include "common/sys/event_loop.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace frsh {

EventLoop::Watch EventLoop::watch(std::string name, int fd, Wanted wanted, Ready ready) {
    auto state = std::make_shared<WatchState>(
        WatchState{std::move(name), fd, std::move(wanted), std::move(ready)});
    watches_.push_back(state);
    return state;
}

bool EventLoop::run_once(Time deadline) {
    order_.clear();
    polled_.clear();
    std::erase_if(watches_, [](const auto& watch) { return watch.expired(); });
    for (const auto& weak : watches_) {
        Watch watch = weak.lock();
        const short events = watch->wanted();
        // Without wanted events, leave it out: POLLHUP cannot be masked, and the loop would spin.
        if (events == 0) continue;
        polled_.push_back({watch->fd, events, 0});
        order_.push_back(std::move(watch));
    }
    if (polled_.empty() && deadline == kNever) return false;

    timespec timeout{};
    if (deadline != kNever) {
        const auto left = std::max(deadline - Clock::now(), Clock::duration::zero());
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        timeout.tv_sec = seconds.count();
        timeout.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    }
    const int ready =
        ::ppoll(polled_.data(), polled_.size(), deadline == kNever ? nullptr : &timeout, nullptr);
    if (ready == -1 && errno != EINTR) throw SysError("poll");
    for (std::size_t i = 0; ready > 0 && i < polled_.size(); ++i) {
        if (polled_[i].revents == 0) continue;
        // If order_ has the only reference, an earlier callback dropped this watch: skip it.
        if (order_[i].use_count() == 1) continue;
        if (log::level() >= log::Level::Debug) log::debug("ready: " + order_[i]->name);
        order_[i]->ready(polled_[i].revents);
    }
    order_.clear();
    return true;
}

}  // namespace frsh
