#include "server/listener/systemd.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/process.hpp"
#include "common/sys/signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr int kFirstGiven = 3;
constexpr int kMostGiven = 64;

// Returns and removes a variable, so that no child process takes it for its own.
std::string take_variable(const char* name) {
    const char* const value = std::getenv(name);
    std::string taken = value != nullptr ? value : "";
    ::unsetenv(name);
    return taken;
}

bool is_listening(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

// Sends one datagram to the manager. Logs errors.
void notify(const std::string& path, std::string_view state) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return log::error("NOTIFY_SOCKET: too long");
    path.copy(address.sun_path, path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';  // An abstract address (unix(7)).
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size) == -1) {
        log::error(SysError("NOTIFY_SOCKET").what());
    }
}

// Runs the supervisor. Returns its exit code.
int supervise(const std::string& notify_path, pid_t listener, const Fd& states, Signals& signals) {
    for (;;) {
        pollfd polled[] = {{signals.fd(), POLLIN, 0}, {states.get(), POLLIN, 0}};
        if (::poll(polled, 2, -1) == -1 && errno != EINTR) throw SysError("poll");
        for (const int number : signals.take()) {
            // Not reaped yet, so the pid is still its own.
            if (number != SIGCHLD) ::kill(listener, number == SIGHUP ? SIGHUP : SIGTERM);
        }
        if (polled[1].revents == 0) continue;
        char state = 0;
        if (read_some(states.get(), &state, 1).status == IoResult::Status::EndOfFile) {
            const ExitStatus status = wait_for(listener);
            return status.signaled ? 128 + status.signal : status.code;
        }
        if (state == static_cast<char>(SystemdState::Ready)) notify(notify_path, "READY=1");
        if (state == static_cast<char>(SystemdState::Stopping)) {
            notify(notify_path, "STOPPING=1");
            return 0;
        }
    }
}

}  // namespace

std::vector<Fd> take_given_sockets() {
    const std::string pid = take_variable("LISTEN_PID");
    const auto count = parse_number(take_variable("LISTEN_FDS"), 1, kMostGiven);
    take_variable("LISTEN_FDNAMES");
    std::vector<Fd> sockets;
    // LISTEN_PID names the process that the sockets are for (sd_listen_fds(3)).
    if (pid != std::to_string(::getpid()) || !count) return sockets;
    for (int fd = kFirstGiven; fd < kFirstGiven + static_cast<int>(*count); ++fd) {
        if (!is_listening(fd)) {
            throw UserError("LISTEN_FDS: descriptor " + std::to_string(fd) +
                            " is no listening socket");
        }
        check(::fcntl(fd, F_SETFD, FD_CLOEXEC), "fcntl");
        set_nonblocking(fd);
        sockets.emplace_back(fd);
    }
    return sockets;
}

Fd fork_supervisor() {
    const std::string path = take_variable("NOTIFY_SOCKET");
    if (path.empty()) return {};
    Pipe states = make_pipe();
    const pid_t own = ::getpid();
    const pid_t listener = check(::fork(), "fork");
    if (listener == 0) {
        // Without the supervisor no signal would arrive. It may have died already.
        check(::prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl");
        if (::getppid() != own) ::raise(SIGTERM);
        return std::move(states.write_end);
    }
    states.write_end.close();
    Signals signals({SIGTERM, SIGINT, SIGHUP, SIGCHLD});
    // exit(3) would run destructors that undo what the child still uses.
    ::_exit(supervise(path, listener, states.read_end, signals));
}

}  // namespace frsh
