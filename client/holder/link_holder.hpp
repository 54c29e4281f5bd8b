// LinkHolder is a process that has an authenticated connection and lends channels of it to other
// clients of the same user (borrowers), which then need no login of their own.
//
//     Open ── SIGTERM, or nothing borrowed for `idle_time` ──▶ Closing ── no run is left ──▶ Over
//       └──── the connection is lost for good ────────────────────────────────────────────▶ Over
//
// A borrower connects to the holder's unix socket and speaks PROTOCOL.md, as to a server that has
// no shells, kept runs or resume. The holder resumes its own connection after a loss.
#pragma once

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
#include <vector>

namespace frsh {

class LinkHolder {
  public:
    // `file` is the locked file of the place, `listening` the socket. `server` is lent, and has
    // sent its hello.
    LinkHolder(EventLoop& loop, ServerConnection& server, LinkPlace place, Fd file, Fd listening,
               std::chrono::milliseconds idle_time);
    ~LinkHolder();
    LinkHolder(const LinkHolder&) = delete;
    LinkHolder& operator=(const LinkHolder&) = delete;

    // Returns when no borrower is left and none may come.
    void run();

  private:
    enum class State { Open, Closing, Over };
    class Borrower;

    void accept_borrowers();
    // Begins no more runs for new borrowers, and removes the place.
    void close();
    void remove_finished(EventLoop::Time now);
    [[nodiscard]] std::size_t runs() const;
    [[nodiscard]] EventLoop::Time next_deadline() const;
    void write_changes();

    EventLoop& loop_;
    ServerConnection& server_;
    LinkPlace place_;
    Fd file_;
    Fd listening_;
    std::chrono::milliseconds idle_time_;
    LinkState written_;  // What the file has.
    std::uint64_t borrowed_ = 0;
    std::vector<std::unique_ptr<Borrower>> borrowers_;
    State state_ = State::Open;
    EventLoop::Time idle_since_;
    Signals signals_;
    EventLoop::Watch listen_watch_;
    EventLoop::Watch signal_watch_;
};

}  // namespace frsh
