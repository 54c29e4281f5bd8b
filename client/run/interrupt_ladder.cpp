#include "client/run/interrupt_ladder.hpp"

#include <csignal>

namespace frsh {

InterruptLadder::Step InterruptLadder::on_signal(int number, Time now) {
    if (number != SIGINT) return Step::Leave;
    switch (state_) {
        case State::Idle:
            state_ = State::Interrupted;
            return Step::Interrupt;
        case State::Interrupted:
            state_ = State::Terminating;
            return Step::Terminate;
        case State::Terminating:
            state_ = State::Killing;
            leave_at_ = now + kLeaveGracePeriod;
            return Step::Kill;
        case State::Killing:
            state_ = State::Leaving;
            leave_at_ = now;
            return Step::Kill;
        case State::Leaving:
            return Step::Kill;
    }
    return Step::Leave;
}

}  // namespace frsh
