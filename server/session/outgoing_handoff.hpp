// OutgoingHandoff gives a client's connection to the session that owns what the client asked for,
// and tries again while that session is starting or ending.
//
//     state    leaves it when                                                  for
//     Idle     begin() is called; the link holds all further messages          Flushing
//     Flushing everything sent so far is written                               Asking
//              it is not written in time, or the connection is lost            Failed
//     Asking   the other session takes the connection                          Taken
//              it does not; the first time                                     Idle
//              it does not; later times                                        Pausing
//              withdraw(), and the other session has not taken it              Idle
//     Pausing  kRetryInterval has passed                                       Idle
//
// When it leaves Asking or Pausing for Idle, the link processes the message again: the run may have
// ended meanwhile, and the answer may be another one. One deadline covers all attempts for a
// message.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "server/handoff.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace frsh {

class OutgoingHandoff {
  public:
    using Time = EventLoop::Time;
    enum class State { Idle, Flushing, Asking, Pausing, Taken, Failed };

    // All are lent. `bound_key` is the name of the client's key, if it is bound to a command. All
    // attempts for one message together take at most `timeout`.
    OutgoingHandoff(EventLoop& loop, Link& link, const std::optional<std::string>& bound_key,
                    std::chrono::milliseconds timeout = kHandoffTimeout)
        : loop_(loop), link_(link), bound_key_(bound_key), timeout_(timeout) {}

    [[nodiscard]] State state() const { return state_; }
    // Returns false once there were too many attempts for the message, or its time has passed.
    [[nodiscard]] bool may_try() const;
    // Returns true if an attempt for this message was made: no session took the connection.
    [[nodiscard]] bool has_tried() const { return attempts_ > 0; }
    // Begins an attempt for `message`, which asks for something of `session`. Call it from within
    // the link's handler. `client_name` is sent to a session that does not know the client yet.
    void begin(const std::string& session, const Message& message, const std::string& client_name);
    // Continues. Call it before each turn of the loop, outside the link's handler.
    void step(Time now);
    [[nodiscard]] Time next_deadline() const;
    // Gives up. Returns true if the connection is still this session's: nothing has taken it.
    [[nodiscard]] bool withdraw();
    // Returns the socket to the new owner, once the state is Taken.
    [[nodiscard]] Fd take_socket() { return attempt_->take_socket(); }

  private:
    void change_to(State state, Time now);
    enum class Retried { No, Yes };

    Retried step_once(Time now);
    void ask(Time now);
    // Makes the link process the message again, which may begin the next attempt.
    Retried retry(Time now);

    EventLoop& loop_;
    Link& link_;
    const std::optional<std::string>& bound_key_;
    std::chrono::milliseconds timeout_;
    State state_ = State::Idle;
    Time deadline_ = EventLoop::kNever;  // In the states Flushing and Pausing.
    // For the current message. They count from the first begin() until it is answered.
    int attempts_ = 0;
    Time give_up_at_ = EventLoop::kNever;
    std::string session_;
    std::string client_name_;
    std::optional<Message> message_;
    std::string rest_;  // What the client has sent after the message.
    std::optional<HandoffAttempt> attempt_;
};

}  // namespace frsh
