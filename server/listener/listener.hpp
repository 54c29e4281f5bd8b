// The forking server: socket, bind, listen, accept, fork, reap.
//
// The listener reads no byte of a peer, except that accept_queue.hpp peeks at the first one. It
// forks a session for each connection (prefork_pool.hpp). A session holds one of the few login
// slots until it is admitted (sessions.hpp). Connections beyond that wait unforked. When the queue
// is full too, a connection is refused with the reason. Sources that keep failing are refused for a
// while (peer_source.hpp).
//
// serve() returns in each forked session at the top of the stack, never inside a callback of the
// loop, so that none of the listener's work is half done above it.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/signals.hpp"
#include "server/listener/accept_queue.hpp"
#include "server/listener/lingering_closes.hpp"
#include "server/listener/peer_source.hpp"
#include "server/listener/prefork_pool.hpp"
#include "server/listener/sessions.hpp"
#include "server/listener/systemd.hpp"
#include "server/login/host_key.hpp"
#include "server/login/timeouts.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace frsh {

class Listener {
  public:
    static constexpr std::size_t kMaxWaiting = 1024;

    // `audit` and `host_key` are lent. Without a host key, TCP is plain and for loopback only.
    Listener(AuditFile& audit, const std::optional<HostKey>& host_key, const SessionRules& rules,
             const Timeouts& timeouts);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Listens on a TCP address. With TLS, the host key is also left in the runtime folder as a pin
    // for clients of the same user. Throws UserError.
    void listen_on_tcp(const std::string& where);
    void listen_on_unix(const std::string& path);
    // Takes a socket that listens already, TCP or unix.
    void listen_on(Fd socket);

    // Reads the configuration anew (SIGHUP), also what this object borrows. Throws what
    // std::runtime_error derives; the old configuration stays then. Sessions that are forked later
    // see what it has changed.
    using Reload = std::function<SessionRules()>;
    void reload_with(Reload reload) { reload_ = std::move(reload); }

    // Serves until SIGTERM or SIGINT, and then until every session has ended. Returns nothing in
    // this process. Returns a value in each forked session. A session has no other
    // descriptors open, and must neither use nor destroy the listener. Reports the start and the
    // end of listening to `states` (systemd.hpp), which may be closed.
    std::optional<SessionStart> serve(Fd states);

  private:
    struct Socket {
        Fd fd;
        Door door;
        std::string path;  // The file of a unix socket, or of a pin; removed at the end.
        EventLoop::Watch watch;
    };
    void add(Fd fd, Door door, std::string path);
    void add_tcp(Fd fd);
    // In a forked session, returns its start.
    std::optional<SessionStart> start_fork_server();
    void report(SystemdState state);
    void accept_some(Socket& socket);
    void refuse(Fd socket, const std::string& reason, const std::string& message,
                std::chrono::seconds retry_after = std::chrono::seconds(1));
    void refuse_foreigner(Fd socket, char first_byte);
    void admit_to_queue(Fd connection, Door door);
    void enqueue(Fd connection, Door door, PeerSource source, EventLoop::Time since);
    void fork_waiting();
    enum class Forked { Started, Refused, NoForkServer };
    Forked start_session(AcceptQueue::Pending pending);
    void reap_children();
    [[nodiscard]] std::vector<Door> doors() const;
    void tick(EventLoop::Time now);
    [[nodiscard]] EventLoop::Time next_deadline() const;
    // Sends the reason to each client that waits here or in the kernel's queue.
    void refuse_waiting();
    void stop_listening();
    void reload();
    // Makes this process reap gates that outlive their sessions: where init reaps nothing, as in
    // many containers, they would stay zombies.
    static void adopt_orphans();

    pid_t owner_;  // The process that removes the socket files.
    const std::optional<HostKey>& host_key_;
    EventLoop loop_;
    Signals signals_;
    std::vector<std::unique_ptr<Socket>> sockets_;  // Empty once listening has ended.
    PreforkPool pool_;
    Sessions sessions_;
    AcceptQueue queue_;
    LingeringCloses lingering_;
    EventLoop::Time accept_again_{};  // After a lack of descriptors: accept nothing before.
    enum class Asked { Nothing, Reload, End };
    Asked asked_ = Asked::Nothing;  // By a signal. Once it is End, it stays so.
    Reload reload_;
    Fd states_;
    EventLoop::Watch signal_watch_;
};

}  // namespace frsh
