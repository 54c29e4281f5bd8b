// Forks sessions: from a fork server, and one for each kind of door ahead of its connection.
//
// A preforked session gets its connection later, by SCM_RIGHTS (unix(7)). So a single client waits
// neither for a fork nor for a gate and its sandbox. fork_tuning.hpp has the numbers.
//
//     fork server:  gone ──start()──▶ running ──reaped() or a failed fork──▶ gone
//     preforked:    none ──prefork()──▶ waiting ──take()──▶ none, and its session is in use
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/listener/accept_queue.hpp"
#include "server/listener/fork_server.hpp"

#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/types.h>

namespace frsh {

// What a forked session receives at its start.
struct SessionStart {
    Door door;
    Fd socket;         // The connection; closed in a preforked session.
    Fd arrivals;       // In a preforked session, its connection arrives here; otherwise closed.
    Fd steps;          // A socket for LoginStep; the session closes it after Admitted.
    std::string mark;  // "FRSH_SESSION=...", for the environment of all its runs.
    int audit_socket = -1;  // For AuditSender; -1 if there is no audit.
};

class PreforkPool {
  public:
    using Time = EventLoop::Time;

    // A forked session that has no connection yet, or whose peer is not known yet.
    struct Session {
        pid_t pid = 0;
        Fd steps;
        std::string mark;
    };

    // Raises the limit of open descriptors (RLIMIT_NOFILE) of this process. Sessions get it back
    // as it was. Throws SysError.
    PreforkPool();

    // Starts the fork server if there is none; at most one each 100 ms. Call from the top of the
    // stack. Returns nothing in this process. Returns a value in each forked session.
    // `audit_socket` and `host_key_copy` (HostKey) stay open in the sessions, if they are not -1.
    // Logs errors.
    std::optional<SessionStart> start_fork_server(Time now, int audit_socket, int host_key_copy);
    [[nodiscard]] bool can_fork() const { return fork_server_.is_running(); }

    // Forks a session for this connection. Throws SysError; can_fork() may be false after that.
    Session fork(Door door, int socket);
    // Hands the connection off to a preforked session of its door. Returns nothing if there is
    // none.
    std::optional<Session> take(const AcceptQueue::Pending& pending);
    // Preforks a session for each door that has none. Does nothing before 50 ms after the last
    // connection, and before 5 s after a failure.
    void prefork(const std::vector<Door>& doors, Time now);

    // Recognises and forgets the fork server and preforked sessions. Replaced: it was restarted.
    enum class Child { Unknown, ForkServer, Preforked, Replaced };
    Child reaped(pid_t pid);
    // Ends the fork server and the preforked sessions. They still have to be reaped.
    void stop();
    // Ends all of them, so that others take their place.
    void restart();
    // Returns true once all of them are reaped.
    [[nodiscard]] bool is_empty() const { return sessions_.empty() && fork_server_.is_gone(); }

    // `may_start`: start_fork_server() will be called.
    [[nodiscard]] Time next_deadline(bool may_start) const;

    // Runs in a preforked session. Blocks until its connection arrives. Returns a closed Fd if it
    // is not needed any more, or if the socket `helper` (-1: none) hangs up before: then the
    // listener forks another session for the next connection.
    [[nodiscard]] static Fd await_connection(const SessionStart& start, int helper);

  private:
    enum class Kind : char { Direct = 'd', Preforked = 'p' };
    struct Preforked {
        Session session;
        Door door;
        Fd way;  // The connection is sent here. Closed: the session is no longer wanted.
    };

    Session fork_session(Door door, Kind kind, int socket);
    [[nodiscard]] SessionStart begin(ForkServer::ForkedProcess forked) const;

    rlimit session_descriptors_;
    ForkServer fork_server_;
    Time start_at_{};           // The fork server is not started before then.
    bool is_replaced_ = false;  // restart() has ended the fork server.
    std::vector<Preforked> sessions_;
    Time prefork_at_{};
};

}  // namespace frsh
