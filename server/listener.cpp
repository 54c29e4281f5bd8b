#include "server/listener.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/host_key.hpp"

#include <algorithm>
#include <csignal>
#include <random>

#include <sys/resource.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr int kAcceptsATurn = 64;
constexpr std::size_t kMaxParting = 256;

// Room for every connection that may wait, beside the session's own. What a session starts gets the
// limit that we were given.
void raise_descriptor_limit(rlimit& given) {
    check(::getrlimit(RLIMIT_NOFILE, &given), "getrlimit");
    rlimit raised = given;
    raised.rlim_cur = std::min<rlim_t>(given.rlim_max, 8192);
    if (raised.rlim_cur > given.rlim_cur) (void)::setrlimit(RLIMIT_NOFILE, &raised);
}

// Not to be guessed, and not to be met again after a restart.
std::string session_mark(unsigned long number) {
    std::random_device random;
    const auto part = (static_cast<std::uint64_t>(random()) << 32) | random();
    return "FRSH_SESSION=" + std::to_string(number) + "-" + std::to_string(part);
}

}  // namespace

Listener::Listener() : owner_(::getpid()), signals_({SIGCHLD, SIGTERM, SIGINT, SIGHUP}) {
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
    if (::getpid() == owner_) stop_listening();
}

void Listener::listen_on_tcp(const std::string& where, const std::optional<PublicKey>& host_key) {
    const HostPort host_port = parse_host_port(where, BarePort::Allowed, "127.0.0.1");
    for (const Address& address : resolve(host_port, true)) {
        if (!host_key && !address.is_loopback()) {
            throw UserError("listen " + address.text() +
                            ": plain TCP is for loopback only (127.0.0.1 or [::1])");
        }
        Fd fd = listen_tcp(address);
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
        if (host_port.port == 0) break;  // A second family would get another port.
    }
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
        if (socket.kind == Kind::Unix && peer_uid(connection->get()) != ::geteuid()) {
            refuse(std::move(*connection), "denied", "this socket serves its owner only");
        } else if (waiting_.size() >= kMaxWaiting) {
            refuse(std::move(*connection), "busy", "too many connections wait for an answer");
        } else {
            waiting_.push_back({std::move(*connection), socket.kind});
        }
    }
}

// One frame, so short that the socket takes it whole, and then the end of our side. Closing with
// unread bytes would reset the connection and take the message along, so that is left to the peer.
void Listener::refuse(Fd socket, const std::string& reason, const std::string& message) {
    log::info("refused a connection: " + message);
    std::string frame;
    encode(frame, msg::Error{reason, message,
                             reason == "busy" ? std::optional<std::uint64_t>(1) : std::nullopt});
    try {
        (void)write_some(socket.get(), frame);
    } catch (const SysError&) {
        return;
    }
    ::shutdown(socket.get(), SHUT_WR);
    if (parting_.size() == kMaxParting) parting_.erase(parting_.begin());
    parting_.push_back({std::move(socket), EventLoop::Clock::now() + 1s});
}

std::optional<Listener::Connection> Listener::serve() {
    for (;;) {
        if (told_to_end_ && !sockets_.empty()) {
            log::notice("told to end: no new connections, " + std::to_string(children_.size()) +
                        " sessions go on");
            stop_listening();
        }
        if (auto connection = fork_waiting()) return connection;
        if (told_to_end_ && children_.empty() && endings_.empty()) return std::nullopt;
        loop_.run_once(next_deadline());
        tick(EventLoop::Clock::now());
    }
}

std::optional<Listener::Connection> Listener::fork_waiting() {
    while (!waiting_.empty() && unknown_ < kMaxUnknown) {
        Waiting next = std::move(waiting_.front());
        waiting_.pop_front();
        if (children_.size() >= kMaxSessions) {
            refuse(std::move(next.socket), "busy",
                   "this server has " + std::to_string(kMaxSessions) + " sessions already");
            continue;
        }
        Pipe admitted;
        try {
            admitted = make_pipe();
        } catch (const SysError& error) {
            // Out of descriptors, all of them perhaps held by those who wait: one fewer.
            refuse(std::move(next.socket), "busy", error.what());
            continue;
        }
        const std::string mark = session_mark(++next_session_);
        const pid_t pid = ::fork();
        if (pid == -1) {
            refuse(std::move(next.socket), "busy", SysError("fork").what());
            continue;
        }
        if (pid == 0) {
            // A session of its own: Ctrl-C at the server's terminal is not for its clients.
            ::setsid();
            sigset_t none;
            sigemptyset(&none);
            ::sigprocmask(SIG_SETMASK, &none, nullptr);
            (void)::setrlimit(RLIMIT_NOFILE, &given_descriptors_);
            return Connection{std::move(next.socket), next.kind, std::move(admitted.write_end),
                              mark};
        }
        ++unknown_;
        Child& child = children_[pid];
        child.admitted = std::move(admitted.read_end);
        child.mark = mark;
        // A byte means admitted; the end without one, that it ended. Either way it is not unknown.
        child.watch = loop_.watch(
            "listener: a session knows its peer", child.admitted.get(),
            [] { return short{POLLIN}; },
            [this, &child](short) {
                --unknown_;
                child.admitted.close();
                child.watch.reset();
            });
    }
    return std::nullopt;
}

void Listener::reap_children() {
    while (const auto status = reap()) {
        const auto found = children_.find(status->pid);
        if (found == children_.end()) continue;
        if (found->second.admitted.is_open()) --unknown_;
        if (status->signaled) {
            log::error("session " + std::to_string(status->pid) + " died by signal " +
                       signal_name(status->signal) + "; ending what it started");
            endings_.emplace_back(status->pid, found->second.mark, Ending::First::HangUp, 2s,
                                  EventLoop::Clock::now());
        }
        children_.erase(found);
    }
}

void Listener::tick(EventLoop::Time now) {
    for (Ending& ending : endings_)
        ending.tick(now);
    std::erase_if(endings_, [](const Ending& ending) { return ending.is_done(); });
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
    EventLoop::Time next = EventLoop::kNever;
    for (const Ending& ending : endings_)
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
}

}  // namespace frsh
