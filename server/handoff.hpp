// Hands a connection off from one session to another session of the same user.
//
//     client ══ new connection ══▶ new session ── the connection itself ──▶ the owning session
//                                  (then exits)    SCM_RIGHTS
//
// The owning session listens on an abstract unix socket under its name (unix(7)). Such a socket has
// no file, so a session that is killed leaves nothing behind. Every user can read these names in
// /proc/net/unix, so a name grants nothing: each side checks the uid of the other (SO_PEERCRED).
//
// A name that another user has taken before is found out by connect(2), or if the backlog there is
// full, by sock_diag(7). Neither side blocks. Both work in the event loop and give up at a
// deadline. A connection has one owner at each moment: if the giving side withdraws before it has
// read the answer, the kernel makes the other side's answer fail (shutdown(2)).
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>

namespace frsh {

// For a whole hand-off with all its attempts. Both sides run on one machine; only a session that is
// stopped or dying takes longer.
inline constexpr std::chrono::seconds kHandoffTimeout{5};

// A connection on its way from one session to another.
struct Handoff {
    Fd input;
    Fd output;          // Not open if `input` is a socket for both directions.
    std::string bytes;  // Already received from the client; the new owner processes them.
    // The name of the client's key, if it is bound to a command; see name_of_bound_key().
    std::optional<std::string> bound_key;
};

// Receives connections from other sessions.
class HandoffPoint {
  public:
    using Time = EventLoop::Time;
    // Returns false to reject the connection. Called before the connection is accepted.
    using MayTake = std::function<bool(const Handoff&)>;
    // Receives the connection and `visit`, the socket to the session that handed it off. That
    // session lives until `visit` is closed if the connection would end with it. May destroy the
    // HandoffPoint.
    using OnArrival = std::function<void(Handoff arrived, Fd visit)>;

    // Listens under `name`. Throws SysError, with EADDRINUSE if the name is taken.
    // A visitor is dropped if its connection has not arrived within `timeout`.
    HandoffPoint(EventLoop& loop, const std::string& name, MayTake may_take, OnArrival on_arrival,
                 std::chrono::milliseconds timeout = kHandoffTimeout);

    // Drops the visitors that have not sent a whole connection in time.
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

  private:
    // A session that is handing off a connection, as far as it has arrived.
    struct Visitor {
        Fd socket;
        Time deadline;
        Handoff handoff;
        bool has_opening = false;
        bool is_bound = false;
        std::string received;
        EventLoop::Watch watch;
    };
    using Visitors = std::list<Visitor>;

    void accept_visitor();
    // Reads once. Returns true once the whole connection has arrived. Throws SysError.
    static bool receive(Visitor& visitor);
    void on_readable(Visitors::iterator visitor);

    EventLoop& loop_;
    MayTake may_take_;
    OnArrival on_arrival_;
    std::chrono::milliseconds timeout_;
    Fd listening_;
    Visitors visitors_;
    EventLoop::Watch watch_;
};

// One attempt to hand off a connection to a session.
//
//     state       leaves it when                                              for
//     Connecting  connect(2) succeeds                                         Sending
//                 there is no such session, or it runs as another user        Refused
//     Sending     everything is written                                       AwaitingAnswer
//     AwaitingAnswer  the session accepts                                     Taken
//                 the session rejects or closes                               Refused
//     any of the first three: the deadline passes, or withdraw()              Refused, or Taken
//                 if the session had accepted already
class HandoffAttempt {
  public:
    using Time = EventLoop::Time;
    enum class State { Connecting, Sending, AwaitingAnswer, Taken, Refused };

    // Borrows the connection's descriptors; they must stay open until the attempt ends. `output`
    // equals `input` for a socket. Gives up at `deadline`. Throws SysError if no socket can be
    // made.
    HandoffAttempt(EventLoop& loop, std::string name, int input, int output,
                   const std::string& bytes, std::optional<std::string> bound_key, Time deadline);

    [[nodiscard]] State state() const { return state_; }
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;
    // Ends the attempt. After this the state is Refused, or Taken if the other session had accepted
    // before.
    void withdraw();
    // Returns the socket to the new owner, once the state is Taken.
    [[nodiscard]] Fd take_socket();

  private:
    void change_to(State state);
    void connect();
    void send_opening();
    void on_ready();

    EventLoop& loop_;
    std::string name_;
    int input_;
    int output_;
    std::optional<std::string> bound_key_;
    State state_ = State::Connecting;
    Time deadline_;
    Time next_try_;  // For connect(2), while the state is Connecting.
    std::string unsent_;
    Fd socket_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
