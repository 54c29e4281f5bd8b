// Decides what a signal to frsh does to the command. Each further SIGINT is a harder request to
// stop; every other signal that ends a process makes the client leave at once.
//
//     state         SIGINT gives        and leads to   leave_at() then
//     Idle          Step::Interrupt     Interrupted    never
//     Interrupted   Step::Terminate     Terminating    never
//     Terminating   Step::Kill          Killing        in kLeaveGracePeriod
//     Killing       Step::Kill          Leaving        now
//     Leaving       Step::Kill          Leaving        unchanged
//
// A signal other than SIGINT gives Step::Leave in every state. This class reads no clock and sends
// nothing: the caller passes the time in and carries the step out.
#pragma once

#include "common/sys/event_loop.hpp"

#include <chrono>

namespace frsh {

// The grace period between the decision to leave (a signal, or the reader of the output has gone)
// and the exit.
inline constexpr std::chrono::seconds kLeaveGracePeriod{2};

class InterruptLadder {
  public:
    using Time = EventLoop::Time;
    enum class State { Idle, Interrupted, Terminating, Killing, Leaving };
    enum class Step {
        Interrupt,  // Send SIGINT.
        Terminate,  // Send SIGTERM.
        Kill,       // Cancel the run.
        Leave,      // Close the connection; do not wait for the end.
    };

    // Returns what to do about signal `number`, received at `now`.
    Step on_signal(int number, Time now);
    // Returns when to leave although the run has not ended; EventLoop::kNever before the third
    // SIGINT.
    [[nodiscard]] Time leave_at() const { return leave_at_; }
    // Returns true once a SIGINT has been received.
    [[nodiscard]] bool has_begun() const { return state_ != State::Idle; }

  private:
    State state_ = State::Idle;
    Time leave_at_ = EventLoop::kNever;
};

}  // namespace frsh
