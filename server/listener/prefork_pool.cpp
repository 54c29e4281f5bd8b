#include "server/listener/prefork_pool.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/run/launch.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// The time from the last connection to the next prefork: a burst of connections needs the
// processor.
constexpr auto kQuietTime = 50ms;
// The time from a failed fork, or the early end of a preforked session, to the next prefork.
constexpr auto kPreforkRetry = 5s;
constexpr auto kForkServerRetry = 100ms;
constexpr rlim_t kMaxDescriptors = 8192;

// Raises this process's own limit, so that every waiting connection can have a descriptor. Returns
// the limit as it was, which sessions get back.
rlimit raise_descriptor_limit() {
    rlimit given{};
    check(::getrlimit(RLIMIT_NOFILE, &given), "getrlimit");
    rlimit raised = given;
    raised.rlim_cur = std::min(given.rlim_max, kMaxDescriptors);
    if (raised.rlim_cur > given.rlim_cur) (void)::setrlimit(RLIMIT_NOFILE, &raised);
    return given;
}

}  // namespace

PreforkPool::PreforkPool() : session_descriptors_(raise_descriptor_limit()) {}

std::optional<SessionStart> PreforkPool::start_fork_server(Time now, int audit_socket,
                                                           int host_key_copy) {
    if (!fork_server_.is_gone() || now < start_at_) return std::nullopt;
    start_at_ = now + kForkServerRetry;
    try {
        auto forked = fork_server_.start({audit_socket, host_key_copy});
        if (forked) {
            SessionStart start = begin(std::move(*forked));
            start.audit_socket = audit_socket;
            return start;
        }
    } catch (const SysError& error) {
        log::error(error.what());
    }
    return std::nullopt;
}

PreforkPool::Session PreforkPool::fork(Door door, int socket) {
    return fork_session(door, Kind::Direct, socket);
}

PreforkPool::Session PreforkPool::fork_session(Door door, Kind kind, int socket) {
    auto [ours, theirs] = make_packet_pair();
    std::string mark = new_session_mark();
    const std::string note = std::string{static_cast<char>(door), static_cast<char>(kind)} + mark;
    Session session;
    session.pid = fork_server_.fork(note, socket, theirs.get());
    session.steps = std::move(ours);
    session.mark = std::move(mark);
    return session;
}

// Runs in the forked session.
SessionStart PreforkPool::begin(ForkServer::ForkedProcess forked) const {
    ::setsid();  // Ctrl-C at the server's terminal must not reach its sessions.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::setrlimit(RLIMIT_NOFILE, &session_descriptors_);
    const bool is_preforked = static_cast<Kind>(forked.note.at(1)) == Kind::Preforked;
    ::prctl(PR_SET_NAME, is_preforked ? "frshd-prefork" : "frshd");
    SessionStart start{
        static_cast<Door>(forked.note[0]), {}, {}, std::move(forked.second), forked.note.substr(2)};
    (is_preforked ? start.arrivals : start.socket) = std::move(forked.first);
    return start;
}

Fd PreforkPool::await_connection(const SessionStart& start, int helper) {
    pollfd polled[] = {{start.arrivals.get(), POLLIN, 0}, {helper, 0, 0}};
    while (::poll(polled, 2, -1) == -1) {
        if (errno != EINTR) throw SysError("poll");
    }
    if (polled[0].revents == 0) return {};
    Fd socket = wait_for_descriptor(start.arrivals.get());
    ::prctl(PR_SET_NAME, "frshd");
    return socket;
}

void PreforkPool::prefork(const std::vector<Door>& doors, Time now) {
    if (now < prefork_at_ || !fork_server_.is_running()) return;
    for (const Door door : doors) {
        const bool has_one = std::any_of(sessions_.begin(), sessions_.end(),
                                         [&](const Preforked& one) { return one.door == door; });
        if (has_one) continue;
        try {
            auto [ours, theirs] = make_packet_pair();
            Preforked preforked{{}, door, std::move(ours)};
            preforked.session = fork_session(door, Kind::Preforked, theirs.get());
            sessions_.push_back(std::move(preforked));
        } catch (const SysError&) {
            // A connection is still served by a direct fork, or refused with the reason.
            prefork_at_ = now + kPreforkRetry;
            return;
        }
    }
    prefork_at_ = EventLoop::kNever;
}

std::optional<PreforkPool::Session> PreforkPool::take(const AcceptQueue::Pending& pending) {
    prefork_at_ = EventLoop::Clock::now() + kQuietTime;
    for (Preforked& preforked : sessions_) {
        if (preforked.door != pending.door || !preforked.way.is_open()) continue;
        const Fd way = std::move(preforked.way);
        // The send fails if the session has died and was not reaped yet.
        if (!send_packet(way.get(), "c", pending.socket.get())) continue;
        Session session = std::move(preforked.session);
        std::erase_if(sessions_,
                      [&](const Preforked& one) { return one.session.pid == session.pid; });
        return session;
    }
    return std::nullopt;
}

PreforkPool::Child PreforkPool::reaped(pid_t pid) {
    if (fork_server_.reaped(pid)) {
        return std::exchange(is_replaced_, false) ? Child::Replaced : Child::ForkServer;
    }
    const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                    [&](const Preforked& one) { return one.session.pid == pid; });
    if (found == sessions_.end()) return Child::Unknown;
    const bool was_wanted = found->way.is_open();
    sessions_.erase(found);
    const auto wait = was_wanted ? std::chrono::milliseconds(kPreforkRetry) : kQuietTime;
    prefork_at_ = EventLoop::Clock::now() + wait;
    return was_wanted ? Child::Preforked : Child::Replaced;
}

void PreforkPool::stop() {
    for (Preforked& preforked : sessions_)
        preforked.way.close();
    fork_server_.stop();
}

void PreforkPool::restart() {
    is_replaced_ = !fork_server_.is_gone();
    stop();
    start_at_ = {};
}

PreforkPool::Time PreforkPool::next_deadline(bool may_start) const {
    if (fork_server_.is_running()) return prefork_at_;
    return may_start && fork_server_.is_gone() ? start_at_ : EventLoop::kNever;
}

}  // namespace frsh
