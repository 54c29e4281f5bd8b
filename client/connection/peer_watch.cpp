#include "client/connection/peer_watch.hpp"

#include <optional>
#include <string>
#include <utility>

namespace frsh {

PeerWatch::PeerWatch(EventLoop& loop, const Link& link, const std::optional<KeepAlive>& keep_alive,
                     EventLoop::Time hello_deadline, OnSilent on_silent)
    : link_(link),
      keep_alive_(keep_alive),
      hello_deadline_(hello_deadline),
      on_silent_(std::move(on_silent)),
      timer_(
          loop, "peer watch: next check", [this] { on_timer(); },
          [this] { return !link_.is_down(); }) {
    arm();
}

void PeerWatch::arm() {
    if (hello_deadline_ != EventLoop::kNever) {
        timer_.expire_at(hello_deadline_);
    } else if (keep_alive_) {
        timer_.expire_after(keep_alive_->interval);
    } else {
        timer_.stop();
    }
}

void PeerWatch::on_timer() {
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
