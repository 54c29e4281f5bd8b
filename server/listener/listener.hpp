// socket, bind, listen, accept, fork, reap: the forking server, and nothing else.
//
// It reads no byte of any peer (waiting_room.hpp looks at one). For each connection it forks a
// session; a session that may start runs says so through a pipe, and until then holds one of the
// few places for a login (login_slots.hpp). Who comes meanwhile waits here unforked, and is
// refused, in words, only beyond that. Sources that keep failing are refused for a while.
//
// One session of each kind of door is forked ahead, when all is quiet, and waits for its
// connection (SCM_RIGHTS): whoever comes then does not wait for a fork, a gate and its sandbox.
//
// All of them come from a zygote (zygote.hpp), which is forked at the top of the stack, never
// inside a callback of the loop: each returns out of serve() with nothing of the listener's work
// half done above it.
#pragma once

#include "common/keys/ssh_key.hpp"
#include "common/sys/process.hpp"
#include "common/sys/signals.hpp"
#include "server/listener/accept_queue.hpp"
#include "server/listener/fork_server.hpp"
#include "server/listener/login_limits.hpp"
#include "server/listener/systemd.hpp"
#include "server/run/termination.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace frsh {

class Listener {
  public:
    using Kind = Door;

    // What a forked session is given.
    struct Connection {
        Kind kind;
        Fd socket;         // Not open in one that was forked ahead:
        Fd arrivals;       // its socket will come through this one (await_connection()).
        Fd steps;          // For LoginStep; behind Admitted it is closed.
        std::string mark;  // "FRSH_SESSION=...", in the environment of all its runs.
    };

    static constexpr std::size_t kMaxSessions = 4096;
    static constexpr std::size_t kMaxWaiting = 1024;

    // `audit_file` is lent; see audit.hpp.
    explicit Listener(int audit_file);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Throw UserError. With a host key, TLS; and the key is left in the runtime folder as a pin for
    // clients of the same user. Without one plain TCP, on loopback only.
    void listen_on_tcp(const std::string& where, const std::optional<PublicKey>& host_key);
    void listen_on_unix(const std::string& path);
    // A socket that listens already, TCP or unix.
    void listen_on(Fd socket, const std::optional<PublicKey>& host_key);

    // Serves until told to end (SIGTERM, SIGINT, SIGHUP) and every session has. Returns nothing
    // then, in the parent; in each forked child it returns that child's connection. There nothing
    // else is open any more, and the listener must neither be used nor destroyed.
    // Says both ends of listening to `states` (service.hpp), which may be not open.
    std::optional<Connection> serve(Fd states);

    // Blocks until the connection is there that a session was forked ahead for. Not open where it
    // will not be needed any more.
    [[nodiscard]] static Fd await_connection(const Connection& ahead);

  private:
    struct Socket {
        Fd fd;
        Kind kind;
        std::string path;  // Of a unix socket or a pin, to be removed.
        EventLoop::Watch watch;
    };
    struct Child {
        Fd steps;  // Not open once the peer is known, or the child has ended.
        Kind kind = Kind::Unix;
        std::string mark;
        std::string from;  // For the log.
        PeerSource source;
        bool is_admitted = false;
        const char* eviction = nullptr;  // Why we ended it, if so.
        EventLoop::Watch watch;
    };
    // A forked session, before it is known whose.
    struct Session {
        pid_t pid = 0;
        Fd steps;
        std::string mark;
    };
    struct Spare {
        Session session;
        Kind kind;
        Fd way;  // For its connection.
    };
    // Refused; kept until it has read why, or a second has passed.
    struct Parting {
        Fd socket;
        EventLoop::Time until;
    };

    void add(Fd fd, Kind kind, std::string path);
    void add_tcp(Fd fd, const std::optional<PublicKey>& host_key);
    void tell(SystemdState state);
    void accept_some(Socket& socket);
    void refuse(Fd socket, const std::string& reason, const std::string& message,
                std::chrono::seconds retry_after = std::chrono::seconds(1));
    void refuse_foreigner(Fd socket, char first_byte);
    void part(Fd socket, std::string_view words);
    void note_turned_away(const std::string& from, const std::string& mark,
                          const std::string& why) const;
    void admit_to_wait(Fd connection, Kind kind);
    void give_seat(Fd connection, Kind kind, PeerSource source, EventLoop::Time since);
    void follow(pid_t pid, Child& child);
    void forget_steps(pid_t pid, Child& child);
    void punish(const Child& child, const ExitStatus& status);
    void evict_surplus(EventLoop::Time now);
    std::optional<Connection> start_zygote(EventLoop::Time now);
    [[nodiscard]] bool is_zygote_wanted() const;
    void fork_waiting();
    void fork_ahead(EventLoop::Time now);
    enum class When : char { Now = 'n', Ahead = 'a' };
    // Throws SysError.
    Session fork_session(Kind kind, When when, int socket);
    [[nodiscard]] Connection begin(ForkServer::ForkedProcess offspring) const;
    std::optional<Session> take_spare(const AcceptQueue::Pending& pending);
    void adopt(Session session, AcceptQueue::Pending& pending);
    void reap_children();
    void tick(EventLoop::Time now);
    [[nodiscard]] EventLoop::Time next_deadline() const;
    void stop_listening();

    int audit_file_;
    pid_t owner_;  // Whose socket files these are.
    EventLoop loop_;
    Signals signals_;
    std::vector<std::unique_ptr<Socket>> sockets_;
    std::map<pid_t, Child> children_;
    std::vector<Spare> spares_;
    EventLoop::Time fork_ahead_at_{};
    ForkServer fork_server_;
    EventLoop::Time zygote_at_{};  // Not started before then.
    LoginLimits slots_;
    AcceptQueue waiting_{loop_, kMaxWaiting};
    Penalties penalties_;
    std::vector<Parting> parting_;
    std::vector<Termination> terminations_;  // Of what sessions left that died by a signal.
    EventLoop::Time accept_again_{};         // Out of descriptors: not before then.
    bool told_to_end_ = false;
    Fd states_;
    rlimit given_descriptors_{};  // For the sessions; we raised our own.
    EventLoop::Watch signal_watch_;
};

}  // namespace frsh
