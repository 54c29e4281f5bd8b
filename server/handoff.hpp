// Where a session that has lost its connection is found again: an abstract unix socket under its
// name (unix(7)). It has no file, so a session that is killed leaves nothing behind.
//
//     client ══ new connection ══▶ new session ── the connection itself ──▶ the session of old
//                                  (and ends)     SCM_RIGHTS
//
// Names can be read by anybody in /proc/net/unix, so they open nothing: each side asks the kernel
// whether the other is the same user.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// A connection on its way from one session to another.
struct Handoff {
    Fd input;
    Fd output;          // Not open where `input` is a socket that does both.
    std::string bytes;  // That have arrived, and that the new owner is to act upon.
    // What the peer's key may run; both sessions must be bound to the same.
    std::optional<std::string> forced_command;
};

class HandoffPoint {
  public:
    // Asked before a connection is taken.
    using MayTake = std::function<bool(const Handoff&)>;
    // A connection is ours now. `visit` leads back to whoever brought it; he waits until that is
    // closed where the connection would end with him.
    using OnArrival = std::function<void(Handoff hand_over, Fd visit)>;

    // Throws SysError.
    HandoffPoint(EventLoop& loop, const std::string& name, MayTake may_take, OnArrival on_arrival);

  private:
    void on_visitor();

    MayTake may_take_;
    OnArrival on_arrival_;
    Fd listening_;
    EventLoop::Watch watch_;
};

// Blocks until the session of that name has taken the connection, whose descriptors are lent. The
// way to that session then; nothing where there is none, or where it did not want it.
[[nodiscard]] std::optional<Fd> hand_over(const std::string& name, int input, int output,
                                          const std::string& bytes,
                                          const std::optional<std::string>& forced_command);

}  // namespace frsh
