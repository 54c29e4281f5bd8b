#include "server/run/termination.hpp"

#include <algorithm>
#include <chrono>
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
      sight_(process_sight()),
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
    is_group_signaled_ = false;
}

int Termination::signal() const {
    return step_ == Step::HangUp ? SIGHUP : step_ == Step::Terminate ? SIGTERM : SIGKILL;
}

void Termination::finish(std::vector<ProcessInfo> survivors) {
    survivors_ = std::move(survivors);
    is_done_ = true;
}

// Pauses at least as long as the look took, so that looks use at most half of the time.
void Termination::plan_next_look(Time now) {
    const Time looked = EventLoop::Clock::now();
    const auto pause = std::max<Time::duration>(pause_, looked - now);
    next_look_ = std::min(looked + pause, std::max(step_ends_, looked + milliseconds(1)));
    pause_ = std::min(2 * pause_, kLongestPause);
}

void Termination::hurry(Time now) {
    if (!is_done_ && step_ != Step::Kill) enter(Step::Kill, now);
}

void Termination::tick(Time now) {
    if (is_done_ || now < next_look_) return;
    if (now >= step_ends_ && step_ != Step::Kill) {
        enter(step_ == Step::HangUp ? Step::Terminate : Step::Kill, now);
    }
    if (sight_ == Sight::None) return signal_group(now);
    const auto [left, is_sure] = started_by(origin_);
    plan_next_look(now);
    if (!left.empty()) unsure_since_.reset();
    if (left.empty() && !is_sure && now < unsure_since_.value_or(now) + kUnsureTime) {
        if (!unsure_since_) unsure_since_ = now;
        return;
    }
    if (left.empty() || (step_ == Step::Kill && now >= step_ends_)) return finish(left);
    signal_all(left);
}

void Termination::signal_all(const std::vector<ProcessInfo>& left) {
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
        is_any_leaving |= send_signal(process, signal()) != Delivery::Refused;
        // A stopped process acts on no signal but KILL until it continues.
        if (step_ != Step::Kill && process.state == 'T') {
            (void)send_signal(process, SIGCONT);
        }
    }
    if (!is_any_leaving && step_ == Step::Kill) finish(left);
}

// The program leads a process group, which lasts until its last member has ended and been waited
// for (setsid(2)). The kernel does not reuse the number before.
void Termination::signal_group(Time now) {
    plan_next_look(now);
    const bool is_there = origin_.program > 0 && ::kill(-origin_.program, 0) == 0;
    const bool is_over = step_ == Step::Kill && now >= step_ends_;
    if (!is_there || is_over) {
        std::vector<ProcessInfo> survivors;
        if (is_there) survivors.push_back({.pid = origin_.program, .name = "?"});
        return finish(std::move(survivors));
    }
    if (is_group_signaled_ && step_ != Step::Kill) return;
    is_group_signaled_ = true;
    ::kill(-origin_.program, signal());
    if (step_ != Step::Kill) ::kill(-origin_.program, SIGCONT);
}

}  // namespace frsh
