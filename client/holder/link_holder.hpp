// LinkHolder is a process that has an authenticated connection and lends channels of it to other
// clients of the same user (borrowers), which then need no login of their own.
//
//     Open ── SIGTERM, "stop", or unused for `idle_time` ──▶ Closing ── no run is left ──▶ Over
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
    // `server` is lent, and has sent its hello. `forwards` is lent, empty, and outlives `server`.
    LinkHolder(EventLoop& loop, ServerConnection& server, Forwards& forwards, LinkPlace place,
               Sockets sockets, std::chrono::milliseconds idle_time);
    ~LinkHolder();
    LinkHolder(const LinkHolder&) = delete;
    LinkHolder& operator=(const LinkHolder&) = delete;

    // Returns when no borrower is left and none may come.
    void run();

  private:
    enum class State { Open, Closing, Leaving, Over };
    class Borrower;

    void accept_borrowers();
    // Returns the answer to a request of the control door.
    std::string answer(std::string_view request);
    std::string change_forwards(std::string_view request);
    void watch_for_an_end(EventLoop::Time now);
    // Returns how long the link may be unused.
    [[nodiscard]] std::chrono::milliseconds idle_limit() const;
    [[nodiscard]] bool is_used() const;
    // Begins no more runs for new borrowers, and removes the place.
    void close();
    void remove_finished(EventLoop::Time now);
    [[nodiscard]] std::size_t runs() const;
    [[nodiscard]] EventLoop::Time next_deadline() const;
    void write_changes();

    EventLoop& loop_;
    ServerConnection& server_;
    Forwards& forwards_;
    LinkPlace place_;
    Fd file_;
    Fd listening_;
    std::chrono::milliseconds idle_time_;
    LinkState written_;  // What the file has.
    std::uint64_t borrowed_ = 0;
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
