#include "common/base/prompt_write.hpp"

#include <cerrno>
#include <cstddef>
#include <string>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

bool is_pipe(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
}

bool is_file(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
}

bool has_room(int fd, std::size_t size) {
    pollfd polled{fd, POLLOUT, 0};
    if (::poll(&polled, 1, 0) != 1 || (polled.revents & POLLOUT) == 0) return false;
    // POLLOUT promises room for PIPE_BUF bytes only (pipe(7)).
    if (size <= PIPE_BUF || !is_pipe(fd)) return true;
    int used = 0;
    const int whole = ::fcntl(fd, F_GETPIPE_SZ);
    return ::ioctl(fd, FIONREAD, &used) == 0 && whole - used >= static_cast<int>(size) + PIPE_BUF;
}

ssize_t write_at_once(int fd, std::string_view bytes) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK) return sent;
    return ::write(fd, bytes.data(), bytes.size());
}

}  // namespace

PromptWrite write_promptly(int fd, std::string_view line, std::size_t* written_bytes) {
    std::size_t ignored = 0;
    std::size_t& total = written_bytes ? *written_bytes : ignored;
    total = 0;
    const bool may_wait = is_file(fd);
    if (!may_wait && !has_room(fd, line.size())) return PromptWrite::Dropped;
    while (!line.empty()) {
        const ssize_t written = write_at_once(fd, line);
        if (written == -1 && errno == EINTR) continue;
        if (written <= 0) {
            const bool is_slow = errno == EAGAIN || errno == EPIPE || errno == ENOBUFS;
            return is_slow ? PromptWrite::Dropped : PromptWrite::Failed;
        }
        line.remove_prefix(static_cast<std::size_t>(written));
        total += static_cast<std::size_t>(written);
        if (!line.empty() && !may_wait && !has_room(fd, line.size())) return PromptWrite::Dropped;
    }
    return PromptWrite::Written;
}

void make_pipe_prompt(int fd) {
    if (!is_pipe(fd)) return;
    // O_NONBLOCK belongs to the open file, which other processes share. So open the pipe anew.
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int own = ::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    if (own == -1) return;
    (void)::dup2(own, fd);
    ::close(own);
}

}  // namespace frsh
