#include "server/session/outgoing_handoff.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// Enough for a session that has written its name to disk and is about to listen.
constexpr int kMaxAttempts = 20;
constexpr auto kRetryInterval = 50ms;
constexpr auto kFlushTimeout = 2s;

}  // namespace

bool OutgoingHandoff::may_try() const {
    return attempts_ < kMaxAttempts && EventLoop::Clock::now() < give_up_at_;
}

void OutgoingHandoff::begin(const std::string& session, const Message& message,
                            const std::string& client_name) {
    session_ = session;
    message_ = message;
    client_name_ = client_name;
    if (attempts_ == 0) give_up_at_ = EventLoop::Clock::now() + timeout_;
    link_.hold();
    change_to(State::Flushing, EventLoop::Clock::now());
}

void OutgoingHandoff::change_to(State state, Time now) {
    state_ = state;
    deadline_ = EventLoop::kNever;
    if (state_ == State::Flushing) deadline_ = std::min(now + kFlushTimeout, give_up_at_);
    if (state_ == State::Pausing) deadline_ = now + kRetryInterval;
    if (state_ == State::Idle || state_ == State::Failed) attempt_.reset();
}

void OutgoingHandoff::step(Time now) {
    // Step again after a retry: it may have begun the next attempt, and no event would wake the
    // loop for that.
    while (step_once(now) == Retried::Yes) {
    }
}

OutgoingHandoff::Retried OutgoingHandoff::step_once(Time now) {
    if (state_ == State::Flushing) {
        // Two sessions must not write to one connection, so this one finishes first.
        link_.flush();
        if (link_.is_down() || (!link_.is_flushed() && now >= deadline_)) {
            change_to(State::Failed, now);
        } else if (link_.is_flushed()) {
            ask(now);
        }
    }
    if (state_ == State::Asking) {
        attempt_->tick(now);
        if (attempt_->state() == HandoffAttempt::State::Taken) {
            change_to(State::Taken, now);
        } else if (attempt_->state() == HandoffAttempt::State::Refused) {
            if (++attempts_ == 1) return retry(now);
            change_to(State::Pausing, now);
        }
    }
    return state_ == State::Pausing && now >= deadline_ ? retry(now) : Retried::No;
}

void OutgoingHandoff::ask(Time now) {
    std::string bytes;
    // In a resume, the session knows the client already.
    if (!std::holds_alternative<msg::Resume>(*message_)) {
        encode(bytes, msg::Hello{kProtocolVersion, "", {}, "", "", "", client_name_});
    }
    encode(bytes, *message_);
    rest_ = link_.take_rest();
    attempt_.emplace(loop_, session_, link_.transport()->read_fd(), link_.transport()->write_fd(),
                     bytes + rest_, bound_key_, give_up_at_);
    change_to(State::Asking, now);
}

OutgoingHandoff::Retried OutgoingHandoff::retry(Time now) {
    change_to(State::Idle, now);
    const Message message = *std::exchange(message_, std::nullopt);
    link_.go_on(message, std::exchange(rest_, {}));
    if (state_ == State::Idle) {
        // The message is answered; the next one has attempts and time of its own.
        attempts_ = 0;
        give_up_at_ = EventLoop::kNever;
    }
    return Retried::Yes;
}

bool OutgoingHandoff::withdraw() {
    if (attempt_) attempt_->withdraw();
    if (attempt_ && attempt_->state() == HandoffAttempt::State::Taken) return false;
    change_to(State::Idle, EventLoop::Clock::now());
    return true;
}

EventLoop::Time OutgoingHandoff::next_deadline() const {
    return state_ == State::Asking ? attempt_->next_deadline() : deadline_;
}

}  // namespace frsh
