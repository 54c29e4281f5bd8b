// Reconnects to the server after a connection was lost: the first attempt starts at once, later
// ones after longer and longer pauses, until the time is over.
//
// An attempt blocks (name look-up, handshake), but the loop must go on to serve streams and
// signals. So each attempt runs in a thread. The thread uses only what its Attempt owns, and
// reports its end through an eventfd(2) that the loop watches. Another eventfd cancels it: the
// destructor of an Attempt cancels and joins the thread, so no thread outlives its owner.
//
// Each attempt has a limit of its own. The kernel repeats an unanswered SYN after 1, 3, 7, 15, 31
// seconds (tcp(7), tcp_syn_retries). A new attempt after a few seconds finds the way sooner.
//
//     Idle ── lost() ──▶ Attempting
//     Attempting ── the attempt failed ──▶ Pausing ── the pause is over ──▶ Attempting
//     Attempting ── connected: on_connected ──▶ Connected
//     Connected ── again(), or its limit has passed: on_stalled, again() ──▶ Pausing
//     Connected ── works() ──▶ OnTrial ── no loss for a while ──▶ Idle
//     OnTrial ── lost() ──▶ Pausing, with the pause and the deadline of before
//     Attempting, Pausing, Connected ── the deadline has passed: on_given_up ──▶ GivenUp
#pragma once

#include "client/connection/connection.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/timer.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace frsh {

class Reconnect {
  public:
    using Time = EventLoop::Time;

    struct Times {
        std::chrono::milliseconds first_pause{50};
        std::chrono::milliseconds longest_pause{2000};
        // The limit of an attempt, and again of the wait for the server's answer on the new
        // connection. It grows, so that a slow server is reached, too.
        std::chrono::milliseconds first_limit{3000};
        std::chrono::milliseconds longest_limit{10'000};
        // A connection that lasts this long has been restored. One that is lost earlier counts as
        // never restored.
        std::chrono::milliseconds trial{3000};
        // A connection that carried more bytes than this counts as restored, too: the deadline
        // begins anew, but not the pauses.
        std::uint64_t useful_bytes = 64 * 1024;
    };
    // All are called from the loop. on_connected and on_given_up may destroy the Reconnect.
    struct Calls {
        std::function<void(Connection)> on_connected;
        // The server has not answered on the new connection in time, so it must be dropped. Call
        // again() for another attempt.
        std::function<void()> on_stalled;
        std::function<void(const std::string& last_problem)> on_given_up;
        // The connection is restored. `losses` counts those since the one that was reported.
        std::function<void(unsigned losses)> on_settled;
    };

    Reconnect(EventLoop& loop, Connector connector, Calls calls, const Times& times);
    Reconnect(EventLoop& loop, Connector connector, Calls calls)
        : Reconnect(loop, std::move(connector), std::move(calls), Times()) {}
    // Cancels an attempt and joins its thread. This usually takes 100 ms at most (look_up() in
    // address.hpp). It blocks longer if the accept queue of a unix socket is full, or if
    // --plaintext looks up a name.
    ~Reconnect();
    Reconnect(const Reconnect&) = delete;
    Reconnect& operator=(const Reconnect&) = delete;

    // The connection was lost. Starts the first attempt, with `grace` from now on as the time for
    // all attempts, and returns true. If the connection was on trial, goes on as if it had not been
    // restored, and returns false. `carried` is the number of useful bytes that it carried.
    bool lost(std::chrono::milliseconds grace, const std::string& problem,
              std::uint64_t carried = 0);
    // The server has answered on the new connection: it is on trial from now on.
    void works();
    // Starts another attempt after a pause. Call it if the new connection was lost before works().
    void again(const std::string& problem);
    // Returns how often the connection was lost since the loss that began with Idle.
    [[nodiscard]] unsigned losses() const { return losses_; }

  private:
    struct Attempt;
    enum class State { Idle, Attempting, Pausing, Connected, OnTrial, GivenUp };

    void begin();
    void on_attempt_ended();
    void on_timer();
    void give_up();
    [[nodiscard]] Time limit() const;
    void become_idle();

    EventLoop& loop_;
    Connector connector_;
    Calls calls_;
    Times times_;
    State state_ = State::Idle;
    Time deadline_ = EventLoop::kNever;
    std::chrono::milliseconds pause_;
    std::chrono::milliseconds limit_;
    unsigned losses_ = 0;
    std::string last_problem_;
    std::unique_ptr<Attempt> attempt_;  // While Attempting.
    Timer timer_;
    EventLoop::Watch attempt_watch_;
};

}  // namespace frsh
