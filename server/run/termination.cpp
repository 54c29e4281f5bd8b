#include "server/run/termination.hpp"

#include <algorithm>
#include <csignal>

namespace frsh {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHangUpTime{500};
constexpr milliseconds kKillTime{5000};
// Between two looks at the process table: often at first, since most processes end at once.
constexpr milliseconds kLongestPause{100};
// An execve(2) takes no longer; somebody may look like it for good.
constexpr milliseconds kUnsureTime{250};

}  // namespace

Termination::Termination(ProcessOrigin origin, First first, milliseconds grace, Time now)
    : origin_(std::move(origin)),
      hang_up_time_(first == First::AskedHangUp ? grace : kHangUpTime),
      grace_(grace) {
    enter(first == First::Terminate ? Step::Terminate : Step::HangUp, now);
}

void Termination::enter(Step step, Time now) {
    step_ = step;
    step_ends_ = now + (step == Step::HangUp      ? hang_up_time_
                        : step == Step::Terminate ? grace_
                                                  : kKillTime);
    next_look_ = now;
    pause_ = milliseconds(1);
    asked_.clear();
}

void Termination::hurry(Time now) {
    if (!is_done_ && step_ != Step::Kill) enter(Step::Kill, now);
}

void Termination::tick(Time now) {
    if (is_done_ || now < next_look_) return;
    if (now >= step_ends_ && step_ != Step::Kill) {
        enter(step_ == Step::HangUp ? Step::Terminate : Step::Kill, now);
    }
    const auto [left, is_sure] = started_by(origin_);
    const Time looked = EventLoop::Clock::now();
    // However long a look takes, as much time is left for everything else.
    const auto pause = std::max<Time::duration>(pause_, looked - now);
    next_look_ = std::min(looked + pause, std::max(step_ends_, looked + milliseconds(1)));
    pause_ = std::min(2 * pause_, kLongestPause);
    if (!left.empty()) unsure_since_.reset();
    if (left.empty() && !is_sure && now < unsure_since_.value_or(now) + kUnsureTime) {
        if (!unsure_since_) unsure_since_ = now;
        return;
    }
    if (left.empty() || (step_ == Step::Kill && now >= step_ends_)) {
        survivors_ = left;
        is_done_ = true;
        return;
    }
    const int number = step_ == Step::HangUp      ? SIGHUP
                       : step_ == Step::Terminate ? SIGTERM
                                                  : SIGKILL;
    bool any_will_go = false;
    const auto asked_before = asked_;
    const auto was_asked = [&asked_before](pid_t pid) {
        const auto found = asked_before.lower_bound({pid, 0});
        return found != asked_before.end() && found->first == pid;
    };
    for (const ProcessInfo& process : left) {
        const bool is_new = asked_.emplace(process.pid, process.start).second;
        if (step_ != Step::Kill && (!is_new || was_asked(process.parent))) {
            any_will_go = true;
            continue;
        }
        any_will_go |= send_signal(process, number) != Delivery::Refused;
        // A stopped process answers nothing but KILL until it goes on.
        if (step_ != Step::Kill && process.state == 'T') (void)send_signal(process, SIGCONT);
    }
    if (!any_will_go && step_ == Step::Kill) {
        survivors_ = left;
        is_done_ = true;
    }
}

}  // namespace frsh
