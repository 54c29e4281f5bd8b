// LinkHolder is a process that has an authenticated connection and lends channels of it to other
// clients of the same user (borrowers), which then need no login of their own.
//
//     Open ── SIGTERM, "stop", unused for Life::idle_time ──▶ Closing ── no run is left ──▶ Over
//       │      or its login sessions have ended
//       ├──── the connection is lost for good ───────────────────────────────────────────▶ Over
//       └──── "exit" ──▶ Leaving: the runs end too ──────────────────────────────────────▶ Over
//
// A borrower connects to the holder's unix socket and speaks PROTOCOL.md, as to a server that has
// no shells, kept runs or resume. The holder resumes its own connection after a loss.
#pragma once

#include "client/forward/forwards.hpp"
#include "client/holder/control_door.hpp"
#include "client/holder/lent_run.hpp"
#include "client/holder/link_place.hpp"
#include "client/holder/login_sessions.hpp"
#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/signals.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class LinkHolder {
  public:
    struct Sockets {
        Fd file;       // The locked file of the place.
        Fd listening;  // For borrowers.
        Fd door;       // For requests about the link.
    };
    struct Life {
        std::chrono::milliseconds idle_time;  // From the last use to the end.
        bool ends_with_logins;                // It ends with the login sessions that used it.
    };
    // `server` is lent, and has sent its hello. `forwards` is lent, empty, and outlives `server`.
    LinkHolder(EventLoop& loop, ServerConnection& server, Forwards& forwards, LinkPlace place,
               Sockets sockets, Life life);
    ~LinkHolder();
    LinkHolder(const LinkHolder&) = delete;
    LinkHolder& operator=(const LinkHolder&) = delete;

    // Returns when no borrower is left and none may come.
    void run();

  private:
    enum class State { Open, Closing, Leaving, Over };
    class Borrower;

    void accept_borrowers();
    // Answers a request of the control door.
    void answer(std::string_view request, const ControlDoor::Reply& reply);
    void change_forwards(std::string_view request, const ControlDoor::Reply& reply);
    void add_forward(const ForwardSpec& spec, const ControlDoor::Reply& reply);
    void watch_for_an_end(EventLoop::Time now);
    // Returns how long the link may be unused.
    [[nodiscard]] std::chrono::milliseconds idle_limit() const;
    [[nodiscard]] bool is_used() const;
    // Begins no more runs for new borrowers, and removes the place.
    void close();
    void remove_finished(EventLoop::Time now);
    [[nodiscard]] std::size_t runs() const;
    [[nodiscard]] EventLoop::Time next_deadline() const;
    void write_changes(EventLoop::Time now);

    EventLoop& loop_;
    ServerConnection& server_;
    Forwards& forwards_;
    LinkPlace place_;
    Fd file_;
    Fd listening_;
    Life life_;
    LoginSessions logins_;
    LinkState state_now_;
    LinkState written_;  // What the file has.
    EventLoop::Time written_at_;
    std::vector<std::unique_ptr<Borrower>> borrowers_;
    State state_ = State::Open;
    bool has_been_used_ = false;
    EventLoop::Time idle_since_;
    EventLoop::Time lost_at_ = EventLoop::kNever;
    Signals signals_;
    EventLoop::Watch listen_watch_;
    EventLoop::Watch signal_watch_;
    ControlDoor door_;
};

}  // namespace frsh
