// Reconnects to the server after a connection was lost: the first attempt starts at once, later
// ones after longer and longer pauses, until a deadline.
//
// An attempt blocks (name look-up, handshake), but the loop must go on to serve streams and
// signals. So each attempt runs in a thread. The thread uses only what its Attempt owns, and
// reports its end through an eventfd(2) that the loop watches. Another eventfd cancels it: the
// destructor of an Attempt cancels and joins the thread, so no thread outlives its owner.
//
//     Attempting ── the attempt failed ──▶ Pausing ── the pause is over ──▶ Attempting
//         │                                   │
//         │ connected: on_connected           │ the deadline has passed: on_given_up
//         ▼                                   ▼
//     Connected ── again() ──▶ Pausing     GivenUp
#pragma once

#include "client/connection/connection.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace frsh {

class Reconnect {
  public:
    using Time = EventLoop::Time;
    using OnConnected = std::function<void(Connection)>;
    using OnGivenUp = std::function<void(const std::string& last_problem)>;

    // Starts the first attempt. Both functions are called from the loop, and may destroy this.
    Reconnect(EventLoop& loop, Connector connector, Time deadline, OnConnected on_connected,
              OnGivenUp on_given_up);
    // Cancels an attempt and joins its thread. This usually takes 100 ms at most (look_up() in
    // address.hpp). It blocks longer if the accept queue of a unix socket is full, or if
    // --plaintext looks up a name.
    ~Reconnect();
    Reconnect(const Reconnect&) = delete;
    Reconnect& operator=(const Reconnect&) = delete;

    // Starts another attempt after a pause. Call it if the new connection was lost, too.
    void again(const std::string& problem);

  private:
    struct Attempt;
    enum class State { Attempting, Pausing, Connected, GivenUp };

    void begin();
    void on_attempt_ended();
    void on_timer();
    void arm(Time when);
    void give_up();

    EventLoop& loop_;
    Connector connector_;
    Time deadline_;
    OnConnected on_connected_;
    OnGivenUp on_given_up_;
    State state_ = State::Pausing;
    std::chrono::milliseconds pause_{50};
    std::string last_problem_;
    std::unique_ptr<Attempt> attempt_;  // While Attempting.
    Fd timer_;
    EventLoop::Watch attempt_watch_;
    EventLoop::Watch timer_watch_;
};

}  // namespace frsh
