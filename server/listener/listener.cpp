#include "server/listener/listener.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/audit.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/login/host_key.hpp"
#include "server/login/login_status.hpp"
#include "server/login/peer_credentials.hpp"
#include "server/run/launch.hpp"

#include <algorithm>
#include <csignal>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr int kAcceptsATurn = 64;
constexpr std::size_t kMaxParting = 256;
constexpr auto kLookForSurplus = 250ms;  // While somebody waits.
// Since somebody came, until the next session is forked ahead: a crowd has better use for the time.
constexpr auto kQuiet = 50ms;
// Since one that was forked ahead has died for nothing.
constexpr auto kAfterDeath = 5s;
constexpr auto kBetweenZygotes = 100ms;

// Room for every connection that may wait, beside the session's own. What a session starts gets the
// limit that we were given.
void raise_descriptor_limit(rlimit& given) {
    check(::getrlimit(RLIMIT_NOFILE, &given), "getrlimit");
    rlimit raised = given;
    raised.rlim_cur = std::min<rlim_t>(given.rlim_max, 8192);
    if (raised.rlim_cur > given.rlim_cur) (void)::setrlimit(RLIMIT_NOFILE, &raised);
}

[[noreturn]] void refuse_plain(const Address& address) {
    throw UserError("listen " + address.text() +
                    ": plain TCP is for loopback only (127.0.0.1 or [::1])");
}

// For the log. Whoever is gone already has no address any more.
std::string name_of_peer(int socket) {
    try {
        const Address peer = peer_address(socket);
        return peer.family() == AF_UNIX ? "unix" : peer.text();
    } catch (const SysError&) {
        return "gone";
    }
}

}  // namespace

Listener::Listener(int audit_file)
    : audit_file_(audit_file), owner_(::getpid()), signals_({SIGCHLD, SIGTERM, SIGINT, SIGHUP}) {
    raise_descriptor_limit(given_descriptors_);
    signal_watch_ = loop_.watch(
        "listener: a session has ended, or we are to", signals_.fd(), [] { return short{POLLIN}; },
        [this](short) {
            for (const int number : signals_.take()) {
                if (number != SIGCHLD) told_to_end_ = true;
            }
            reap_children();
        });
}

Listener::~Listener() {
    must(::getpid() == owner_, "a listener is its own process's");
    stop_listening();
}

void Listener::listen_on_tcp(const std::string& where, const std::optional<PublicKey>& host_key) {
    const HostPort host_port = parse_host_port(where, BarePort::Allowed, "127.0.0.1");
    for (const Address& address : resolve(host_port, true)) {
        if (!host_key && !address.is_loopback()) refuse_plain(address);
        add_tcp(listen_tcp(address), host_key);
        if (host_port.port == 0) break;  // A second family would get another port.
    }
}

void Listener::listen_on(Fd socket, const std::optional<PublicKey>& host_key) {
    const Address own = local_address(socket.get());
    if (own.family() == AF_UNIX) {
        log::notice("listening on a unix socket that was given");
        add(std::move(socket), Kind::Unix, "");
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
            // Clients of this user are asked about the key then, as others are.
            log::notice(std::string("no pin for local clients: ") + error.what());
        }
    }
    add(std::move(fd), host_key ? Kind::Tls : Kind::Plaintext, std::move(pin));
}

void Listener::listen_on_unix(const std::string& path) {
    add(listen_unix(path), Kind::Unix, path);
    log::notice("listening on " + path);
}

void Listener::add(Fd fd, Kind kind, std::string path) {
    auto socket = std::make_unique<Socket>(Socket{std::move(fd), kind, std::move(path), nullptr});
    Socket& lent = *socket;
    socket->watch = loop_.watch(
        "listener: a connection", lent.fd.get(),
        [this]() -> short {
            const bool may =
                waiting_.size() <= kMaxWaiting && EventLoop::Clock::now() >= accept_again_;
            return may ? POLLIN : short{0};
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
            // Out of descriptors or memory. The connection stays in the kernel's queue, so poll(2)
            // would report it again at once: rest instead of spinning, and try again.
            log::error(error.what());
            accept_again_ = EventLoop::Clock::now() + 100ms;
            return;
        }
        if (!connection) return;
        const auto why =
            socket.kind == Kind::Unix ? refuse_unix_peer(connection->get()) : std::nullopt;
        if (why) {
            refuse(std::move(*connection), "denied", *why);
        } else {
            admit_to_wait(std::move(*connection), socket.kind);
        }
    }
}

void Listener::admit_to_wait(Fd connection, Kind kind) {
    const EventLoop::Time now = EventLoop::Clock::now();
    PeerSource source{"this machine", true};
    if (kind == Kind::Tls) source = peer_source_of(connection.get());
    if (const auto time = penalties_.find(source.name, now)) {
        return refuse(std::move(connection), "busy", source.name + " has failed too often of late",
                      *time);
    }
    give_seat(std::move(connection), kind, std::move(source), now);
}

void Listener::give_seat(Fd connection, Kind kind, PeerSource source, EventLoop::Time since) {
    auto rejected = waiting_.add(std::move(connection), kind, std::move(source), since);
    if (rejected) {
        refuse(std::move(rejected->socket), "busy", "too many connections wait for an answer");
    }
}

void Listener::refuse(Fd socket, const std::string& reason, const std::string& message,
                      std::chrono::seconds retry_after) {
    note_turned_away(name_of_peer(socket.get()), "", message);
    msg::Error error{reason, message, std::nullopt};
    if (reason == "busy") error.retry_after = static_cast<std::uint64_t>(retry_after.count());
    std::string frame;
    encode(frame, error);
    part(std::move(socket), frame);
}

void Listener::refuse_foreigner(Fd socket, char first_byte) {
    // A frame, it seems: of a client that was told to do without TLS.
    if (first_byte == 0) {
        return refuse(std::move(socket), "denied", "this port speaks TLS: leave out --plaintext");
    }
    const std::string began = escape_controls({&first_byte, 1});
    note_turned_away(name_of_peer(socket.get()), "", "no TLS: it began with \"" + began + "\"");
    part(std::move(socket), "This is frshd. It speaks TLS, with frsh only.\r\n");
}

// Last words, so short that the socket takes them whole, and then the end of our side. Closing with
// unread bytes would reset the connection and take the words along, so that is left to the peer.
void Listener::part(Fd socket, std::string_view words) {
    try {
        (void)write_some(socket.get(), words);
    } catch (const SysError&) {
        return;
    }
    ::shutdown(socket.get(), SHUT_WR);
    if (parting_.size() == kMaxParting) parting_.erase(parting_.begin());
    parting_.push_back({std::move(socket), EventLoop::Clock::now() + 1s});
}

void Listener::note_turned_away(const std::string& from, const std::string& mark,
                                const std::string& why) const {
    Audit(audit_file_, {mark, from, "", ""}).turned_away(why);
}

void Listener::tell(SystemdState state) {
    const char byte = static_cast<char>(state);
    if (states_.is_open()) (void)write_some(states_.get(), {&byte, 1});
}

std::optional<Listener::Connection> Listener::serve(Fd states) {
    states_ = std::move(states);
    tell(SystemdState::Ready);
    for (;;) {
        if (told_to_end_ && !sockets_.empty()) {
            log::notice("told to end: no new connections, " + std::to_string(children_.size()) +
                        " sessions go on");
            stop_listening();
            tell(SystemdState::Stopping);
            states_.close();
        }
        if (auto connection = start_zygote(EventLoop::Clock::now())) return connection;
        fork_waiting();
        fork_ahead(EventLoop::Clock::now());
        const bool has_anybody = !children_.empty() || !spares_.empty() || !fork_server_.is_gone();
        if (told_to_end_ && !has_anybody && terminations_.empty()) return std::nullopt;
        loop_.run_once(next_deadline());
        tick(EventLoop::Clock::now());
    }
}

void Listener::fork_waiting() {
    const auto may = [this](const PeerSource& source) { return slots_.may_have_one_more(source); };
    while (!slots_.is_full() && fork_server_.is_running()) {
        auto taken = waiting_.take_next(may);
        if (!taken) break;
        AcceptQueue::Pending& next = *taken;
        if (children_.size() >= kMaxSessions) {
            refuse(std::move(next.socket), "busy",
                   "this server has " + std::to_string(kMaxSessions) + " sessions already");
            continue;
        }
        auto session = take_spare(next);
        if (!session) {
            try {
                session = fork_session(next.door, When::Now, next.socket.get());
            } catch (const SysError& error) {
                if (!fork_server_.is_running()) {
                    // He waits for the next one.
                    return give_seat(std::move(next.socket), next.door, std::move(next.source),
                                     next.since);
                }
                // Out of descriptors, all of them perhaps held by those who wait: one fewer.
                refuse(std::move(next.socket), "busy", error.what());
                continue;
            }
        }
        adopt(std::move(*session), next);
    }
}

// Before anything of a guest's is on the stack or the heap.
std::optional<Listener::Connection> Listener::start_zygote(EventLoop::Time now) {
    if (!is_zygote_wanted() || now < zygote_at_) return std::nullopt;
    zygote_at_ = now + kBetweenZygotes;
    try {
        auto offspring = fork_server_.start({audit_file_});
        if (offspring) return begin(std::move(*offspring));
    } catch (const SysError& error) {
        log::error(error.what());
    }
    return std::nullopt;
}

bool Listener::is_zygote_wanted() const {
    return fork_server_.is_gone() && !sockets_.empty();
}

Listener::Session Listener::fork_session(Kind kind, When when, int socket) {
    Pipe steps = make_pipe();
    set_nonblocking(steps.read_end.get());
    std::string mark = new_session_mark();
    const std::string note = std::string{static_cast<char>(kind), static_cast<char>(when)} + mark;
    Session session;
    session.pid = fork_server_.fork(note, socket, steps.write_end.get());
    session.steps = std::move(steps.read_end);
    session.mark = std::move(mark);
    return session;
}

Listener::Connection Listener::begin(ForkServer::ForkedProcess offspring) const {
    // A session of its own: Ctrl-C at the server's terminal is not for its clients.
    ::setsid();
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::setrlimit(RLIMIT_NOFILE, &given_descriptors_);
    const bool is_ahead = static_cast<When>(offspring.note.at(1)) == When::Ahead;
    // For whoever looks at a list of processes.
    ::prctl(PR_SET_NAME, is_ahead ? "frshd-spare" : "frshd");
    Connection connection{static_cast<Kind>(offspring.note[0]),
                          {},
                          {},
                          std::move(offspring.second),
                          offspring.note.substr(2)};
    (is_ahead ? connection.arrivals : connection.socket) = std::move(offspring.first);
    return connection;
}

void Listener::fork_ahead(EventLoop::Time now) {
    if (now < fork_ahead_at_ || !fork_server_.is_running()) return;
    for (const auto& socket : sockets_) {
        const bool has_one = std::any_of(spares_.begin(), spares_.end(), [&](const Spare& spare) {
            return spare.kind == socket->kind;
        });
        if (has_one) continue;
        try {
            auto [ours, theirs] = make_packet_pair();
            Spare spare{{}, socket->kind, std::move(ours)};
            spare.session = fork_session(socket->kind, When::Ahead, theirs.get());
            spares_.push_back(std::move(spare));
        } catch (const SysError&) {
            // Whoever comes is served all the same, or told why not.
            fork_ahead_at_ = now + kAfterDeath;
            return;
        }
    }
    fork_ahead_at_ = EventLoop::kNever;
}

Fd Listener::await_connection(const Connection& ahead) {
    Fd socket = wait_for_descriptor(ahead.arrivals.get());
    ::prctl(PR_SET_NAME, "frshd");
    return socket;
}

// One that has died meanwhile takes nothing, and is passed over.
std::optional<Listener::Session> Listener::take_spare(const AcceptQueue::Pending& pending) {
    fork_ahead_at_ = EventLoop::Clock::now() + kQuiet;
    for (Spare& spare : spares_) {
        if (spare.kind != pending.door || !spare.way.is_open()) continue;
        const Fd way = std::move(spare.way);
        if (!send_packet(way.get(), "c", pending.socket.get())) continue;
        Session session = std::move(spare.session);
        std::erase_if(spares_, [&](const Spare& one) { return one.session.pid == session.pid; });
        return session;
    }
    return std::nullopt;
}

void Listener::adopt(Session session, AcceptQueue::Pending& pending) {
    const pid_t pid = session.pid;
    const bool is_login = pending.door == Kind::Tls;
    slots_.add(pid, pending.source,
               is_login ? LoginLimits::Rules::OfALogin : LoginLimits::Rules::Own,
               EventLoop::Clock::now());
    Child& child = children_[pid];
    child.steps = std::move(session.steps);
    child.kind = pending.door;
    child.mark = std::move(session.mark);
    child.from = name_of_peer(pending.socket.get());
    child.source = std::move(pending.source);
    child.watch = loop_.watch(
        "listener: a session knows its peer", child.steps.get(), [] { return short{POLLIN}; },
        [this, pid, &child](short) { follow(pid, child); });
}

// Admitted, or the end without that: either way it needs no place for a login any more.
void Listener::follow(pid_t pid, Child& child) {
    char steps[16];
    const IoResult got = read_some(child.steps.get(), steps, sizeof steps);
    const bool is_over = got.status == IoResult::Status::EndOfFile;
    for (const char step : std::string_view(steps, got.bytes)) {
        if (step == static_cast<char>(LoginStep::Admitted)) child.is_admitted = true;
        slots_.advance(pid, static_cast<LoginStep>(step), EventLoop::Clock::now());
    }
    if (is_over || child.is_admitted) forget_steps(pid, child);
}

void Listener::forget_steps(pid_t pid, Child& child) {
    if (!child.steps.is_open()) return;
    slots_.remove(pid);
    child.watch.reset();
    child.steps.close();
}

void Listener::punish(const Child& child, const ExitStatus& status) {
    // A session whose peer was known once is nobody's fault, however it ends.
    if (child.kind != Kind::Tls || child.source.is_loopback || child.is_admitted) return;
    const auto exit = static_cast<LoginStatus>(status.code);
    const auto penalty = child.eviction != nullptr                         ? 1s
                         : status.signaled || exit == LoginStatus::Crashed ? 90s
                         : exit == LoginStatus::Failed                     ? 5s
                         : exit == LoginStatus::Silent                     ? 1s
                                                                           : 0s;
    if (penalty == 0s) return;
    const EventLoop::Time now = EventLoop::Clock::now();
    penalties_.add(child.source.name, penalty, now);
    Audit(audit_file_, {child.mark, child.from, "", ""})
        .penalised(child.source.name, penalty,
                   penalties_.find(child.source.name, now).value_or(0s));
}

void Listener::evict_surplus(EventLoop::Time now) {
    using Waiting = LoginLimits::Waiting;
    const Waiting waiting = waiting_.has_ready() ? Waiting::Somebody : Waiting::Nobody;
    for (const LoginLimits::Eviction& surplus : slots_.take_surplus(now, waiting)) {
        children_.at(surplus.pid).eviction = surplus.why;
        ::kill(surplus.pid, SIGKILL);  // Not reaped yet, so it cannot be anybody else.
    }
}

void Listener::reap_children() {
    while (const auto status = reap()) {
        if (fork_server_.reaped(status->pid)) {
            if (!told_to_end_) log::error("the zygote died; there will be another");
            continue;
        }
        const auto found = children_.find(status->pid);
        if (found == children_.end()) {
            const auto died = std::erase_if(
                spares_, [&](const Spare& spare) { return spare.session.pid == status->pid; });
            if (died > 0) fork_ahead_at_ = EventLoop::Clock::now() + kAfterDeath;
            continue;
        }
        Child& child = found->second;
        if (child.steps.is_open())
            follow(status->pid, child);  // What it said last may not have been read.
        punish(child, *status);
        if (child.eviction != nullptr) {
            note_turned_away(child.from, child.mark, child.eviction);
        } else if (status->signaled && child.kind == Kind::Tls && !child.is_admitted) {
            note_turned_away(child.from, child.mark, "the login died by a signal");
        }
        forget_steps(status->pid, child);
        if (status->signaled && child.eviction == nullptr) {
            log::error("session " + std::to_string(status->pid) + " died by signal " +
                       signal_name(status->signal) + "; ending what it started");
            terminations_.emplace_back(
                ProcessOrigin{status->pid, {found->second.mark}, now_in_ticks()},
                Termination::First::HangUp, 2s, EventLoop::Clock::now());
        }
        children_.erase(found);
    }
}

void Listener::tick(EventLoop::Time now) {
    for (AcceptQueue::Pending& pending : waiting_.drop_hopeless(now)) {
        if (pending.foreign_byte) {
            refuse_foreigner(std::move(pending.socket), *pending.foreign_byte);
        } else {
            note_turned_away(name_of_peer(pending.socket.get()), "", "said nothing");
        }
    }
    evict_surplus(now);
    for (Termination& ending : terminations_)
        ending.tick(now);
    std::erase_if(terminations_, [](const Termination& ending) { return ending.is_done(); });
    std::erase_if(parting_, [now](const Parting& parting) {
        char ignored[4096];
        try {
            IoResult result;
            do {
                result = read_some(parting.socket.get(), ignored, sizeof ignored);
            } while (result.status == IoResult::Status::Done);
            return result.status == IoResult::Status::EndOfFile || now >= parting.until;
        } catch (const SysError&) {
            return true;
        }
    });
}

EventLoop::Time Listener::next_deadline() const {
    EventLoop::Time next = waiting_.next_deadline();
    if (fork_server_.is_running()) next = std::min(next, fork_ahead_at_);
    if (is_zygote_wanted()) next = std::min(next, zygote_at_);
    if (waiting_.has_ready()) {
        next = std::min<EventLoop::Time>(next, EventLoop::Clock::now() + kLookForSurplus);
    }
    for (const Termination& ending : terminations_)
        next = std::min(next, ending.next_deadline());
    for (const Parting& parting : parting_)
        next = std::min(next, parting.until);
    if (accept_again_ > EventLoop::Clock::now()) next = std::min(next, accept_again_);
    return next;
}

void Listener::stop_listening() {
    for (const auto& socket : sockets_) {
        if (!socket->path.empty()) ::unlink(socket->path.c_str());
    }
    sockets_.clear();
    waiting_.clear();
    for (Spare& spare : spares_)
        spare.way.close();
    fork_server_.stop();
}

}  // namespace frsh
