#include "client/holder/login_sessions.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

// Returns the process at the other end; 0 if it belongs to another pid namespace.
pid_t peer_pid(int unix_socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    const int result = ::getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    return result == 0 ? credentials.pid : 0;
}

// Returns the leader of the process's session; nothing if that session has no terminal.
// /proc/PID/stat (proc(5)) is "PID (name) STATE PPID PGRP SESSION TTY ...".
std::optional<pid_t> terminal_session(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 512> buffer{};
    const auto size = file.is_open() ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
    if (size <= 0) return std::nullopt;
    std::string_view text(buffer.data(), static_cast<std::size_t>(size));
    text.remove_prefix(std::min(text.size(), text.rfind(") ") + 4));  // Also behind the state.
    std::array<int, 4> fields{};
    for (int& field : fields) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), field);
        if (error != std::errc()) return std::nullopt;
        text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
    }
    if (fields[2] <= 0 || fields[3] == 0) return std::nullopt;
    return fields[2];
}

}  // namespace

LoginSessions::LoginSessions(EventLoop& loop, std::string socket)
    : loop_(loop), socket_(std::move(socket)) {
    folder_events_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string folder = socket_.substr(0, socket_.rfind('/'));
    // If the user has no inotify instance left, the holder ends after its time.
    if (!folder_events_.is_open() ||
        ::inotify_add_watch(folder_events_.get(), folder.c_str(),
                            IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF) == -1) {
        return;
    }
    folder_watch_ = loop_.watch(
        "the folder of the link", folder_events_.get(), [] { return short{POLLIN}; },
        [this](short) { on_folder_change(); });
}

void LoginSessions::on_folder_change() {
    std::array<char, 4096> events{};
    while (::read(folder_events_.get(), events.data(), events.size()) > 0) {
    }
    struct stat info {};
    is_socket_gone_ = ::lstat(socket_.c_str(), &info) == -1 && errno == ENOENT;
}

void LoginSessions::add(int unix_socket) {
    const pid_t client = peer_pid(unix_socket);
    const auto leader = client > 0 ? terminal_session(client) : std::nullopt;
    if (!leader || leaders_.contains(*leader)) return;
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, *leader, 0)));
    if (!pidfd.is_open() && errno != ESRCH) return;
    has_any_ = true;
    if (!pidfd.is_open()) return;  // It has ended already.
    const int fd = pidfd.get();
    auto watch = loop_.watch(
        "the end of a login session", fd, [] { return short{POLLIN}; },
        [this, pid = *leader](short) { leaders_.erase(pid); });
    leaders_.emplace(*leader, Leader{std::move(pidfd), std::move(watch)});
}

}  // namespace frsh
