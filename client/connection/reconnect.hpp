// Reaching the server again after a connection was lost: at once, then with longer and longer
// pauses, until a deadline.
//
// Looking up a name blocks, and so does a handshake; meanwhile the caller's streams and signals
// must be served. So each attempt is a thread of its own, which is given what it needs and touches
// nothing else; an event on the loop says that it is done.
#pragma once

#include "client/connection/connect.hpp"

#include <functional>
#include <memory>
#include <string>

namespace frsh {

class Reconnect {
  public:
    using Time = EventLoop::Time;
    using OnConnected = std::function<void(Connection)>;
    // What the last attempt met.
    using OnGivenUp = std::function<void(const std::string& why)>;

    // Begins at once. Either function is called from the loop, where this may be destroyed.
    Reconnect(EventLoop& loop, Connector connector, Time deadline, OnConnected on_connected,
              OnGivenUp on_given_up);
    // An attempt that is under way is left to itself, and is_dialing() then.
    ~Reconnect();
    Reconnect(const Reconnect&) = delete;
    Reconnect& operator=(const Reconnect&) = delete;

    // The connection did not last: one more, after a pause.
    void again(const std::string& why);

  private:
    struct Attempt;
    void begin();
    void on_done();
    void on_timer();
    void arm(Time when);

    EventLoop& loop_;
    Connector redial_;
    Time deadline_;
    OnConnected on_connected_;
    OnGivenUp on_given_up_;
    std::chrono::milliseconds pause_{50};
    std::string last_problem_;
    std::shared_ptr<Attempt> attempt_;
    Fd timer_;
    EventLoop::Watch attempt_watch_;
    EventLoop::Watch timer_watch_;
};

// An attempt that nobody waits for any more is still under way. It must not see the program's
// libraries being taken down: leave by _exit(2).
[[nodiscard]] bool is_dialing();

}  // namespace frsh
