#include "server/listener/listener.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/audit.hpp"
#include "server/login/host_key.hpp"
#include "server/login/login_status.hpp"
#include "server/login/peer_credentials.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// How many connections one turn of the loop accepts from one socket.
constexpr int kAcceptsATurn = 64;
// How often surplus logins are looked for while a connection waits.
constexpr auto kEvictionInterval = 250ms;
constexpr auto kAcceptRetry = 100ms;
// From SIGHUP to SIGKILL for what a killed session has started.
constexpr auto kTerminationGrace = 2s;

[[noreturn]] void refuse_plain(const Address& address) {
    throw UserError("listen " + address.text() +
                    ": plain TCP is for loopback only (127.0.0.1 or [::1])");
}

// Returns the peer's address for the log, or "gone" if getpeername(2) fails.
std::string name_of_peer(int socket) {
    try {
        const Address peer = peer_address(socket);
        return peer.family() == AF_UNIX ? "unix" : peer.text();
    } catch (const SysError&) {
        return "gone";
    }
}

}  // namespace

Listener::Listener(int audit_file, const Timeouts& timeouts)
    : audit_file_(audit_file),
      owner_(::getpid()),
      signals_(without_ignored({SIGCHLD, SIGTERM, SIGINT, SIGHUP})),
      limits_(timeouts),
      queue_(loop_, kMaxWaiting, timeouts.greeting),
      lingering_(timeouts.lingering_close) {
    adopt_orphans();
    signal_watch_ = loop_.watch(
        "listener: a child has ended, or a signal asks for the end", signals_.fd(),
        [] { return short{POLLIN}; },
        [this](short) {
            for (const int number : signals_.take()) {
                if (number == SIGCHLD || asked_ == Asked::End) continue;
                asked_ = number == SIGHUP ? Asked::Reload : Asked::End;
            }
            reap_children();
        });
}

Listener::~Listener() {
    must(::getpid() == owner_, "only the process that made a listener destroys it");
    stop_listening();
}

void Listener::listen_on_tcp(const std::string& where, const std::optional<PublicKey>& host_key) {
    const HostPort host_port = parse_host_port(where, BarePort::Allowed, "127.0.0.1");
    for (const Address& address : resolve(host_port, true)) {
        if (!host_key && !address.is_loopback()) refuse_plain(address);
        add_tcp(listen_tcp(address), host_key);
        if (host_port.port == 0) break;  // A second address family would get another port.
    }
}

void Listener::listen_on(Fd socket, const std::optional<PublicKey>& host_key) {
    const Address own = local_address(socket.get());
    if (own.family() == AF_UNIX) {
        log::notice("listening on an inherited unix socket");
        add(std::move(socket), Door::Unix, "");
        return;
    }
    if (!host_key && !own.is_loopback()) refuse_plain(own);
    add_tcp(std::move(socket), host_key);
}

void Listener::add_tcp(Fd fd, const std::optional<PublicKey>& host_key) {
    const Address own = local_address(fd.get());
    log::notice("listening on " + own.text() + (host_key ? " (TLS)" : " (plain TCP)"));
    std::string pin;
    if (host_key) {
        try {
            pin = leave_pin(own.port(), *host_key);
        } catch (const std::runtime_error& error) {
            // Clients of this user then ask about the key, as other clients do.
            log::notice(std::string("no pin for local clients: ") + error.what());
        }
    }
    add(std::move(fd), host_key ? Door::Tls : Door::Plaintext, std::move(pin));
}

void Listener::listen_on_unix(const std::string& path) {
    add(listen_unix(path), Door::Unix, path);
    log::notice("listening on " + path);
}

void Listener::add(Fd fd, Door door, std::string path) {
    auto socket = std::make_unique<Socket>(Socket{std::move(fd), door, std::move(path), nullptr});
    Socket& lent = *socket;
    socket->watch = loop_.watch(
        "listener: a connection", lent.fd.get(),
        [this]() -> short {
            const bool may_accept =
                queue_.size() <= kMaxWaiting && EventLoop::Clock::now() >= accept_again_;
            return may_accept ? POLLIN : short{0};
        },
        [this, &lent](short) { accept_some(lent); });
    sockets_.push_back(std::move(socket));
}

void Listener::accept_some(Socket& socket) {
    for (int i = 0; i < kAcceptsATurn; ++i) {
        std::optional<Fd> connection;
        try {
            connection = accept_connection(socket.fd.get());
        } catch (const SysError& error) {
            // Out of descriptors or memory. The connection stays in the kernel's queue, and poll(2)
            // would report it again at once. So the socket is left out of poll for a while.
            log::error(error.what());
            accept_again_ = EventLoop::Clock::now() + kAcceptRetry;
            return;
        }
        if (!connection) return;
        const auto why =
            socket.door == Door::Unix ? refuse_unix_peer(connection->get()) : std::nullopt;
        if (why) {
            refuse(std::move(*connection), "denied", *why);
        } else {
            admit_to_queue(std::move(*connection), socket.door);
        }
    }
}

void Listener::admit_to_queue(Fd connection, Door door) {
    const EventLoop::Time now = EventLoop::Clock::now();
    PeerSource source{"this machine", true};
    if (door == Door::Tls) source = peer_source_of(connection.get());
    if (const auto time = penalties_.find(source.name, now)) {
        return refuse(std::move(connection), "busy", source.name + " has failed too often of late",
                      *time);
    }
    enqueue(std::move(connection), door, std::move(source), now);
}

void Listener::enqueue(Fd connection, Door door, PeerSource source, EventLoop::Time since) {
    auto rejected = queue_.add(std::move(connection), door, std::move(source), since);
    if (rejected) {
        refuse(std::move(rejected->socket), "busy", "too many connections wait for an answer");
    }
}

void Listener::refuse(Fd socket, const std::string& reason, const std::string& message,
                      std::chrono::seconds retry_after) {
    audit_refusal(name_of_peer(socket.get()), "", message);
    msg::Error error{reason, message, std::nullopt};
    if (reason == "busy") error.retry_after = static_cast<std::uint64_t>(retry_after.count());
    std::string frame;
    encode(frame, error);
    lingering_.add(std::move(socket), frame, EventLoop::Clock::now());
}

void Listener::refuse_foreigner(Fd socket, char first_byte) {
    // A frame begins with 0: the client uses plain TCP.
    if (first_byte == 0) {
        return refuse(std::move(socket), "denied", "this port speaks TLS: leave out --plaintext");
    }
    const std::string began = escape_controls({&first_byte, 1});
    audit_refusal(name_of_peer(socket.get()), "", "no TLS: it began with \"" + began + "\"");
    lingering_.add(std::move(socket), "This is frshd. It speaks TLS, with frsh only.\r\n",
                   EventLoop::Clock::now());
}

void Listener::audit_refusal(const std::string& from, const std::string& mark,
                             const std::string& why) const {
    Audit(audit_file_, {mark, from, "", ""}).turned_away(why);
}

void Listener::report(SystemdState state) {
    const char byte = static_cast<char>(state);
    if (states_.is_open()) (void)write_some(states_.get(), {&byte, 1});
}

std::optional<SessionStart> Listener::serve(Fd states) {
    states_ = std::move(states);
    report(SystemdState::Ready);
    for (;;) {
        if (asked_ == Asked::Reload) reload();
        if (asked_ == Asked::End && !sockets_.empty()) {
            log::notice("told to end: no new connections, " + std::to_string(sessions_.size()) +
                        " sessions go on");
            refuse_waiting();
            stop_listening();
            report(SystemdState::Stopping);
            states_.close();
        }
        // Fork here, where neither the stack nor the heap has data of a connection.
        if (!sockets_.empty()) {
            auto start = pool_.start_fork_server(EventLoop::Clock::now(), audit_file_);
            if (start) return start;
        }
        fork_waiting();
        pool_.prefork(doors(), EventLoop::Clock::now());
        const bool has_children = !sessions_.empty() || !pool_.is_empty();
        const bool has_work = !terminations_.empty() || !lingering_.is_empty();
        if (asked_ == Asked::End && !has_children && !has_work) return std::nullopt;
        loop_.run_once(next_deadline());
        tick(EventLoop::Clock::now());
    }
}

void Listener::fork_waiting() {
    const auto may = [this](const PeerSource& source) { return limits_.may_have_one_more(source); };
    while (!limits_.is_full() && pool_.can_fork()) {
        auto next = queue_.take_next(may);
        if (!next) break;
        if (sessions_.size() >= kMaxSessions) {
            refuse(std::move(next->socket), "busy",
                   "this server has " + std::to_string(kMaxSessions) + " sessions already");
            continue;
        }
        if (start_session(std::move(*next)) == Forked::NoForkServer) return;
    }
}

Listener::Forked Listener::start_session(AcceptQueue::Pending pending) {
    auto session = pool_.take(pending);
    if (!session) {
        try {
            session = pool_.fork(pending.door, pending.socket.get());
        } catch (const SysError& error) {
            if (!pool_.can_fork()) {
                // The connection waits for the next fork server.
                enqueue(std::move(pending.socket), pending.door, std::move(pending.source),
                        pending.since);
                return Forked::NoForkServer;
            }
            // There are no descriptors left. Waiting connections hold some: refuse this one.
            refuse(std::move(pending.socket), "busy", error.what());
            return Forked::Refused;
        }
    }
    adopt(std::move(*session), pending);
    return Forked::Started;
}

void Listener::adopt(PreforkPool::Session forked, AcceptQueue::Pending& pending) {
    const pid_t pid = forked.pid;
    const bool is_login = pending.door == Door::Tls;
    limits_.add(pid, pending.source,
                is_login ? LoginLimits::Rules::OfALogin : LoginLimits::Rules::Own,
                EventLoop::Clock::now());
    Session& session = sessions_[pid];
    session.steps = std::move(forked.steps);
    session.door = pending.door;
    session.mark = std::move(forked.mark);
    session.from = name_of_peer(pending.socket.get());
    session.source = std::move(pending.source);
    session.watch = loop_.watch(
        "listener: a session knows its peer", session.steps.get(), [] { return short{POLLIN}; },
        [this, pid, &session](short) { read_steps(pid, session); });
}

void Listener::read_steps(pid_t pid, Session& session) {
    char steps[16];
    const IoResult got = read_some(session.steps.get(), steps, sizeof steps);
    const bool is_over = got.status == IoResult::Status::EndOfFile;
    for (const char step : std::string_view(steps, got.bytes)) {
        if (step == static_cast<char>(LoginStep::Admitted)) session.is_admitted = true;
        limits_.advance(pid, static_cast<LoginStep>(step), EventLoop::Clock::now());
    }
    if (is_over || session.is_admitted) close_steps(pid, session);
}

void Listener::close_steps(pid_t pid, Session& session) {
    if (!session.steps.is_open()) return;
    limits_.remove(pid);
    session.user = user_of_process(pid);
    session.watch.reset();
    session.steps.close();
}

void Listener::penalise(const Session& session, const ExitStatus& status) {
    // After a login, no end of a session is its source's fault.
    if (session.door != Door::Tls || session.source.is_loopback || session.is_admitted) return;
    const auto exit = static_cast<LoginStatus>(status.code);
    const auto penalty = session.eviction != nullptr                       ? 1s
                         : status.signaled || exit == LoginStatus::Crashed ? 90s
                         : exit == LoginStatus::Failed                     ? 5s
                         : exit == LoginStatus::Silent                     ? 1s
                                                                           : 0s;
    if (penalty == 0s) return;
    const EventLoop::Time now = EventLoop::Clock::now();
    penalties_.add(session.source.name, penalty, now);
    Audit(audit_file_, {session.mark, session.from, "", ""})
        .penalised(session.source.name, penalty,
                   penalties_.find(session.source.name, now).value_or(0s));
}

void Listener::evict(EventLoop::Time now) {
    using Waiting = LoginLimits::Waiting;
    const Waiting waiting = queue_.has_ready() ? Waiting::Yes : Waiting::No;
    for (const LoginLimits::Eviction& eviction : limits_.take_evictions(now, waiting)) {
        sessions_.at(eviction.pid).eviction = eviction.why;
        ::kill(eviction.pid, SIGKILL);  // Not reaped yet, so the pid is still this session's.
    }
}

void Listener::reap_children() {
    while (const auto status = reap()) {
        const PreforkPool::Child child = pool_.reaped(status->pid);
        if (child == PreforkPool::Child::ForkServer && asked_ != Asked::End) {
            log::error("the fork server died; another one is started");
        }
        if (child != PreforkPool::Child::Unknown) continue;
        const auto found = sessions_.find(status->pid);
        if (found == sessions_.end()) continue;
        session_ended(status->pid, found->second, *status);
        sessions_.erase(found);
    }
}

void Listener::session_ended(pid_t pid, Session& session, const ExitStatus& status) {
    // Its last steps may not have been read yet.
    if (session.steps.is_open()) read_steps(pid, session);
    penalise(session, status);
    if (session.eviction != nullptr) {
        audit_refusal(session.from, session.mark, session.eviction);
    } else if (status.signaled && session.door == Door::Tls && !session.is_admitted) {
        audit_refusal(session.from, session.mark, "the login died by a signal");
    }
    close_steps(pid, session);
    if (!status.signaled || session.eviction != nullptr) return;
    log::error("session " + std::to_string(pid) + " died by signal " + signal_name(status.signal) +
               "; ending what it started");
    terminations_.emplace_back(ProcessOrigin{pid, {session.mark}, now_in_ticks(), session.user},
                               Termination::First::HangUp, kTerminationGrace,
                               EventLoop::Clock::now());
}

void Listener::tick(EventLoop::Time now) {
    for (AcceptQueue::Pending& pending : queue_.drop_hopeless(now)) {
        if (pending.foreign_byte) {
            refuse_foreigner(std::move(pending.socket), *pending.foreign_byte);
        } else {
            audit_refusal(name_of_peer(pending.socket.get()), "", "sent nothing");
        }
    }
    evict(now);
    for (Termination& termination : terminations_)
        termination.tick(now);
    std::erase_if(terminations_, [](const Termination& one) { return one.is_done(); });
    lingering_.tick(now);
}

EventLoop::Time Listener::next_deadline() const {
    const EventLoop::Time now = EventLoop::Clock::now();
    EventLoop::Time next = std::min({queue_.next_deadline(), lingering_.next_deadline(),
                                     pool_.next_deadline(!sockets_.empty())});
    if (queue_.has_ready()) next = std::min<EventLoop::Time>(next, now + kEvictionInterval);
    for (const Termination& termination : terminations_)
        next = std::min(next, termination.next_deadline());
    if (accept_again_ > now) next = std::min(next, accept_again_);
    return next;
}

}  // namespace frsh
