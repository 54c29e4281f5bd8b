#include "server/listener/listener.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/login/host_key.hpp"
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

std::string host_of_peer(int socket) {
    try {
        return peer_address(socket).host_text();
    } catch (const SysError&) {
        return "gone";
    }
}

}  // namespace

Listener::Listener(AuditFile& audit, const std::optional<HostKey>& host_key,
                   const SessionRules& rules, const Timeouts& timeouts)
    : owner_(::getpid()),
      host_key_(host_key),
      signals_(without_ignored({SIGCHLD, SIGTERM, SIGINT, SIGHUP})),
      sessions_(loop_, audit, rules, timeouts),
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

void Listener::listen_on_tcp(const std::string& where) {
    const HostPort host_port = parse_host_port(where, BarePort::Allowed, "127.0.0.1");
    for (const Address& address : resolve(host_port, true)) {
        if (!host_key_ && !address.is_loopback()) refuse_plain(address);
        add_tcp(listen_tcp(address));
        if (host_port.port == 0) break;  // A second address family would get another port.
    }
}

void Listener::listen_on(Fd socket) {
    const Address own = local_address(socket.get());
    if (own.family() == AF_UNIX) {
        log::notice("listening on an inherited unix socket");
        add(std::move(socket), Door::Unix, "");
        return;
    }
    if (!host_key_ && !own.is_loopback()) refuse_plain(own);
    add_tcp(std::move(socket));
}

void Listener::add_tcp(Fd fd) {
    const Address own = local_address(fd.get());
    log::notice("listening on " + own.text() + (host_key_ ? " (TLS)" : " (plain TCP)"));
    std::string pin;
    if (host_key_) {
        try {
            pin = leave_pin(own.port(), host_key_->key);
        } catch (const std::runtime_error& error) {
            // Clients of this user then ask about the key, as other clients do.
            log::notice(std::string("no pin for local clients: ") + error.what());
        }
    }
    add(std::move(fd), host_key_ ? Door::Tls : Door::Plaintext, std::move(pin));
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
    if (door == Door::Tls) {
        source = peer_source_of(connection.get());
        if (!source.is_exempt)
            source.is_exempt = sessions_.is_exempt(host_of_peer(connection.get()));
    }
    const auto time = sessions_.find_penalty(source.name, now);
    if (time && !source.is_exempt && !sessions_.take_trial(source.name, now)) {
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
    sessions_.record_refusal(name_of_peer(socket.get()), "", message);
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
    sessions_.record_refusal(name_of_peer(socket.get()), "",
                             "no TLS: it began with \"" + began + "\"");
    lingering_.add(std::move(socket), "This is frshd. It speaks TLS, with frsh only.\r\n",
                   EventLoop::Clock::now());
}

std::optional<SessionStart> Listener::start_fork_server() {
    const int host_key_copy = host_key_ ? host_key_->copy.get() : -1;
    return pool_.start_fork_server(EventLoop::Clock::now(), sessions_.audit_socket(),
                                   host_key_copy);
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
            if (auto start = start_fork_server()) return start;
        }
        fork_waiting();
        pool_.prefork(doors(), EventLoop::Clock::now());
        sessions_.fork_endings(EventLoop::Clock::now());
        const bool has_work = !sessions_.is_over() || !lingering_.is_empty();
        if (asked_ == Asked::End && !has_work && pool_.is_empty()) return std::nullopt;
        loop_.run_once(next_deadline());
        tick(EventLoop::Clock::now());
    }
}

void Listener::fork_waiting() {
    const auto may = [this](const PeerSource& source) {
        return sessions_.may_have_one_more(source);
    };
    while (!sessions_.is_full_of_logins() && pool_.can_fork()) {
        auto next = queue_.take_next(may);
        if (!next) break;
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
    sessions_.adopt(std::move(*session), pending, name_of_peer(pending.socket.get()));
    return Forked::Started;
}

void Listener::reap_children() {
    while (const auto status = reap()) {
        const PreforkPool::Child child = pool_.reaped(status->pid);
        if (child == PreforkPool::Child::ForkServer && asked_ != Asked::End) {
            log::error("the fork server died; another one is started");
        }
        if (child == PreforkPool::Child::Unknown) (void)sessions_.reaped(*status);
    }
}

void Listener::tick(EventLoop::Time now) {
    for (AcceptQueue::Pending& pending : queue_.drop_hopeless(now)) {
        if (pending.foreign_byte) {
            refuse_foreigner(std::move(pending.socket), *pending.foreign_byte);
        } else {
            sessions_.record_refusal(name_of_peer(pending.socket.get()), "", "sent nothing");
        }
    }
    using Waiting = LoginLimits::Waiting;
    sessions_.tick(now, queue_.has_ready() ? Waiting::Yes : Waiting::No);
    lingering_.tick(now);
}

EventLoop::Time Listener::next_deadline() const {
    const EventLoop::Time now = EventLoop::Clock::now();
    EventLoop::Time next =
        std::min({queue_.next_deadline(), lingering_.next_deadline(), sessions_.next_deadline(),
                  pool_.next_deadline(!sockets_.empty())});
    if (queue_.has_ready()) next = std::min<EventLoop::Time>(next, now + kEvictionInterval);
    if (accept_again_ > now) next = std::min(next, accept_again_);
    return next;
}

}  // namespace frsh
