// Sessions are the listener's children that serve a connection: their logins, their shares, their
// records in the audit, and what is left of them if they die.
//
// Each session has a socket to the listener until it is admitted (LoginStep, admission.hpp). Until
// then it takes one of the few login slots (login_limits.hpp), and from then on a place among the
// admitted ones (session_shares.hpp).
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"
#include "server/audit_file.hpp"
#include "server/listener/accept_queue.hpp"
#include "server/listener/audit_recorder.hpp"
#include "server/listener/endings.hpp"
#include "server/listener/login_limits.hpp"
#include "server/listener/peer_source.hpp"
#include "server/listener/prefork_pool.hpp"
#include "server/listener/session_shares.hpp"
#include "server/login/timeouts.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

// What the configuration decides about sessions.
struct SessionRules {
    std::size_t most = 4096;          // Admitted sessions.
    bool is_audit_required = false;   // Refuse logins that the audit file cannot record.
    std::string penalty_exempt = {};  // A list of addresses and networks; see host_pattern.hpp.
};

class Sessions {
  public:
    using Time = EventLoop::Time;

    // `loop` and `audit` are lent.
    Sessions(EventLoop& loop, AuditFile& audit, const SessionRules& rules,
             const Timeouts& timeouts);

    // Takes new rules, and the audit file where it was opened anew. Admitted sessions stay.
    void reload(const SessionRules& rules);

    [[nodiscard]] int audit_socket() const { return recorder_.sender(); }
    [[nodiscard]] std::size_t size() const { return sessions_.size(); }
    // Returns true if there is neither a session nor anything that one has left.
    [[nodiscard]] bool is_over() const { return sessions_.empty() && endings_.is_empty(); }

    // Returns true if no more logins may be in progress.
    [[nodiscard]] bool is_full_of_logins() const { return limits_.is_full(); }
    [[nodiscard]] bool may_have_one_more(const PeerSource& source) const {
        return limits_.may_have_one_more(source);
    }
    // Returns how long this source is refused for its failures; nothing if it is not.
    [[nodiscard]] std::optional<std::chrono::seconds> find_penalty(const std::string& source,
                                                                   Time now) {
        return penalties_.find(source, now);
    }
    [[nodiscard]] bool take_trial(const std::string& source, Time now) {
        return penalties_.take_trial(source, now);
    }
    [[nodiscard]] bool is_exempt(const std::string& address) const;

    // Takes the session that serves this connection. `from` is the peer, for the log.
    void adopt(PreforkPool::Session forked, AcceptQueue::Pending& pending, std::string from);
    // Acts on the end of a child. Returns false if it is none of the sessions and their helpers.
    bool reaped(const ExitStatus& status);
    // Forks what ends the remains of killed sessions. Call it outside of the loop's callbacks.
    void fork_endings(Time now) { endings_.fork_due(now); }

    // Evicts logins, more of them if others wait, and asks idle sessions to leave.
    void tick(Time now, LoginLimits::Waiting waiting);
    [[nodiscard]] Time next_deadline() const { return endings_.next_deadline(); }

    // Records a connection that was refused. `mark` is empty if it has no session.
    void record_refusal(const std::string& from, const std::string& mark, const std::string& why);

  private:
    struct Session {
        Fd steps;  // Closed once the peer is known or the session has ended.
        Door door = Door::Unix;
        std::string mark;
        std::string from;  // The peer, for the log.
        PeerSource source;
        bool is_admitted = false;
        std::optional<Endings::Owner> owner;  // Known once the listener has admitted it.
        const char* eviction = nullptr;       // The reason if this process has killed the session.
        EventLoop::Watch watch;
    };

    // Reads one packet. Returns false if there is none now, or no further one.
    bool read_step(pid_t pid, Session& session);
    void answer(pid_t pid, Session& session, const std::string& request);
    [[nodiscard]] std::optional<std::string> admit(pid_t pid, Session& session,
                                                   const std::string& request);
    // A session that is admitted, or has closed its socket, gives its login slot back.
    void close_steps(pid_t pid, Session& session);
    void penalise(const Session& session, const ExitStatus& status);
    void ended(pid_t pid, Session& session, const ExitStatus& status);

    EventLoop& loop_;
    AuditFile& audit_;
    SessionRules rules_;
    std::map<pid_t, Session> sessions_;
    AuditRecorder recorder_;
    LoginLimits limits_;
    SessionShares shares_;
    Penalties penalties_;
    Endings endings_;
};

}  // namespace frsh
