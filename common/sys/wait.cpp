#include "common/sys/wait.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include <poll.h>

namespace frsh {

bool wait_for_events(int fd, short events, const WaitLimit& limit) {
    for (;;) {
        int timeout = -1;
        if (limit.deadline != EventLoop::kNever) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit.deadline -
                                                                           EventLoop::Clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
        }
        // poll(2) ignores a negative descriptor.
        pollfd polled[] = {{fd, events, 0}, {limit.cancel_fd, POLLIN, 0}};
        const int ready = ::poll(polled, 2, timeout);
        if (ready == -1 && errno == EINTR) continue;
        check(ready, "poll");
        if (polled[1].revents != 0) throw WaitCanceled();
        if (ready > 0) return true;
        if (EventLoop::Clock::now() >= limit.deadline) return false;
    }
}

void check_canceled(const WaitLimit& limit) {
    // Not Time::min(): what is left until then does not fit its type.
    (void)wait_for_events(-1, 0, {EventLoop::Clock::now(), limit.cancel_fd});
}

}  // namespace frsh
