// Termination everything that a run started: ask, wait, then kill, until nobody is left.
//
//     hang up (HUP) ──500 ms──▶ ask (TERM) ──grace──▶ kill (KILL, again and again) ──5 s──▶ give up
//
// Any step that finds nobody left is the last, unless it could not be sure for a while. Asking
// happens once a process, when it is first seen. What somebody starts who was asked already is how
// he tidies up, and is left in peace until the next step. What cannot be killed, or will not die,
// is named at the end. A hang-up that somebody asked for is an end of its own, with the whole grace
// before the next step.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace frsh {

class Termination {
  public:
    using Time = EventLoop::Time;
    enum class First { HangUp, AskedHangUp, Terminate };

    // Of everything from there; see started_by().
    Termination(ProcessOrigin origin, First first, std::chrono::milliseconds grace, Time now);

    // Looks again, and does what is due.
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const { return is_done_ ? EventLoop::kNever : next_look_; }
    [[nodiscard]] bool is_done() const { return is_done_; }
    // Who was left when it gave up; empty where nobody was.
    [[nodiscard]] const std::vector<ProcessInfo>& survivors() const { return survivors_; }
    // Straight to the last step.
    void hurry(Time now);
    // The first process was waited for.
    void reaped(std::uint64_t when) { origin_.reaped = when; }

  private:
    enum class Step { HangUp, Terminate, Kill };
    void enter(Step step, Time now);

    ProcessOrigin origin_;
    std::chrono::milliseconds hang_up_time_;
    std::chrono::milliseconds grace_;
    Step step_;
    Time step_ends_;
    Time next_look_;
    std::chrono::milliseconds pause_{1};
    std::set<std::pair<pid_t, std::uint64_t>> asked_;  // In this step, by pid and start time.
    std::optional<Time> unsure_since_;                 // That nobody is left.
    std::vector<ProcessInfo> survivors_;
    bool is_done_ = false;
};

}  // namespace frsh
