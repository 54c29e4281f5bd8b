#include "server/run/termination.hpp"

#include <algorithm>
#include <csignal>

namespace frsh {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHangUpTime{500};
constexpr milliseconds kKillTime{5000};
// The longest pause between two looks. The first is 1 ms, since most processes end at once.
constexpr milliseconds kLongestPause{100};
// A process in execve(2) has no environment for less than this. Some have none for good.
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
    signaled_.clear();
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
    // Pause at least as long as the look took, so that looks use at most half of the time.
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
    bool is_any_leaving = false;
    const auto signaled_before = signaled_;
    const auto was_signaled = [&signaled_before](pid_t pid) {
        const auto found = signaled_before.lower_bound({pid, 0});
        return found != signaled_before.end() && found->first == pid;
    };
    for (const ProcessInfo& process : left) {
        const bool is_new = signaled_.emplace(process.pid, process.start).second;
        if (step_ != Step::Kill && (!is_new || was_signaled(process.parent))) {
            is_any_leaving = true;
            continue;
        }
        is_any_leaving |= send_signal(process, number) != Delivery::Refused;
        // A stopped process acts on no signal but KILL until it continues.
        if (step_ != Step::Kill && process.state == 'T') (void)send_signal(process, SIGCONT);
    }
    if (!is_any_leaving && step_ == Step::Kill) {
        survivors_ = left;
        is_done_ = true;
    }
}

}  // namespace frsh
