// Termination ends all processes that a run or a shell started, with stronger signals step by step:
//
//     HUP ──500 ms──▶ TERM ──grace──▶ KILL, at every look ──5 s──▶ give up
//
// If a look at the process table finds no process left, the termination is done. If that look was
// not sure (see started_by()), it is repeated for a while. HUP and TERM are sent to each process
// once, when it is first seen. Children that a process starts after it was signalled are taken for
// its cleanup and are not signalled until the next step. Processes that survive KILL, or that may
// not be signalled, are the survivors. If HUP was requested by a user (AskedHangUp), TERM follows
// after the whole grace period.
//
// Without /proc, the steps go to the program's process group. What has left that group is unknown.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class Termination {
  public:
    using Time = EventLoop::Time;
    enum class First { HangUp, AskedHangUp, Terminate };

    // Ends all processes of `origin` (see started_by()). Sends nothing before the first tick().
    Termination(ProcessOrigin origin, First first, std::chrono::milliseconds grace, Time now);

    // Looks at the process table if a look is due, and sends the signals of the current step.
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const { return is_done_ ? EventLoop::kNever : next_look_; }
    [[nodiscard]] bool is_done() const { return is_done_; }
    // Returns the processes left when it gave up; empty if all have ended.
    [[nodiscard]] const std::vector<ProcessInfo>& survivors() const { return survivors_; }
    // Returns true if there may be processes that this process cannot see.
    [[nodiscard]] bool may_have_missed() const { return sight_ != Sight::All; }
    // Goes straight to KILL.
    void hurry(Time now);
    // Records that the program was reaped at `when`, in clock ticks (now_in_ticks()).
    void reaped(std::uint64_t when) { origin_.reaped = when; }

  private:
    enum class Step { HangUp, Terminate, Kill };
    void enter(Step step, Time now);
    [[nodiscard]] int signal() const;
    void plan_next_look(Time now);
    void signal_all(const std::vector<ProcessInfo>& left);
    void signal_group(Time now);
    void finish(std::vector<ProcessInfo> survivors);

    ProcessOrigin origin_;
    Sight sight_;
    std::chrono::milliseconds hang_up_time_;
    std::chrono::milliseconds grace_;
    Step step_;
    Time step_ends_;
    Time next_look_;
    std::chrono::milliseconds pause_{1};
    std::set<std::pair<pid_t, std::uint64_t>> signaled_;  // In this step, by pid and start time.
    std::optional<Time> unsure_since_;                    // Since then, no process was found.
    std::vector<ProcessInfo> survivors_;
    bool is_group_signaled_ = false;  // In this step, without /proc.
    bool is_done_ = false;
};

}  // namespace frsh
