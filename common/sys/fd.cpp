#include "common/sys/fd.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most numbers that are tried if neither close_range(2) nor /proc is there.
constexpr rlim_t kMaxDescriptors = 1U << 20;

void act_on(int fd, RangeAction action) {
    if (action == RangeAction::Close) {
        ::close(fd);
    } else {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

}  // namespace

void Fd::close() {
    if (fd_ < 0) return;
    // close(2) frees the descriptor even when it reports EINTR, so it is never retried.
    ::close(std::exchange(fd_, -1));
}

IoResult read_some(int fd, char* buffer, std::size_t size) {
    ssize_t got = 0;
    do {
        got = ::read(fd, buffer, size);
    } while (got == -1 && errno == EINTR);
    if (got > 0) return {IoResult::Status::Done, static_cast<std::size_t>(got)};
    if (got == 0) return {IoResult::Status::EndOfFile};
    if (errno == EAGAIN) return {IoResult::Status::WouldBlock};
    // A pty master reports EIO, not end-of-file, once its last slave is closed.
    if (errno == EIO || errno == ECONNRESET) return {IoResult::Status::EndOfFile};
    throw SysError("read");
}

IoResult write_some(int fd, std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return write_some(fd, &part, 1);
}

IoResult write_some(int fd, const iovec* parts, int count) {
    ssize_t put = 0;
    do {
        put = ::writev(fd, parts, count);
    } while (put == -1 && errno == EINTR);
    if (put >= 0) return {IoResult::Status::Done, static_cast<std::size_t>(put)};
    if (errno == EAGAIN) return {IoResult::Status::WouldBlock};
    if (errno == EPIPE || errno == ECONNRESET) return {IoResult::Status::EndOfFile};
    throw SysError("write");
}

std::string read_file(const std::string& path, std::size_t limit) {
    const Fd file(check(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY), "open " + path));
    std::string content;
    char buffer[16384];
    for (;;) {
        const IoResult result = read_some(file.get(), buffer, sizeof buffer);
        if (result.status != IoResult::Status::Done) return content;
        content.append(buffer, result.bytes);
        if (content.size() > limit) throw SysError("read " + path, EFBIG);
    }
}

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put == -1 && errno == EINTR) continue;
        check(put, "write");
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
}

void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned first = STDERR_FILENO + 1;
    for (const int fd : kept) {
        const auto number = static_cast<unsigned>(fd);
        if (fd < 0 || number < first) continue;
        if (number > first) act_on_range(first, number - 1, RangeAction::Close);
        first = number + 1;
    }
    act_on_range(first, ~0U, RangeAction::Close);
}

void act_on_range(unsigned first, unsigned last, RangeAction action) {
    const unsigned flags = action == RangeAction::Close ? 0 : CLOSE_RANGE_CLOEXEC;
    if (::syscall(SYS_close_range, first, last, flags) == 0) return;
    const int folder = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1) {
        rlimit limit{};
        const bool is_known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
        const auto end =
            is_known ? std::min<rlim_t>(limit.rlim_cur, kMaxDescriptors) : rlim_t{kMaxDescriptors};
        for (unsigned fd = first; fd < end && fd <= last; ++fd)
            act_on(static_cast<int>(fd), action);
        return;
    }
    // readdir(3) allocates, so the entries are read with the system call.
    alignas(dirent64) char entries[4096];
    for (;;) {
        const long size = ::syscall(SYS_getdents64, folder, entries, sizeof entries);
        if (size <= 0) break;
        for (long at = 0; at < size;) {
            const auto* const entry = reinterpret_cast<const dirent64*>(entries + at);
            at += entry->d_reclen;
            unsigned fd = 0;
            const char* digit = entry->d_name;
            for (; *digit >= '0' && *digit <= '9'; ++digit)
                fd = 10 * fd + static_cast<unsigned>(*digit - '0');
            const bool is_number = digit != entry->d_name && *digit == '\0';
            const bool is_in_range = is_number && fd >= first && fd <= last;
            if (is_in_range && static_cast<int>(fd) != folder) {
                act_on(static_cast<int>(fd), action);
            }
        }
    }
    ::close(folder);
}

void set_nonblocking(int fd) {
    const int flags = check(::fcntl(fd, F_GETFL), "fcntl");
    check(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

void set_blocking(int fd) {
    const int flags = check(::fcntl(fd, F_GETFL), "fcntl");
    check(::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), "fcntl");
}

Fd open_anew(int fd, int access) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    return Fd(::open(path.c_str(), access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

Pipe make_pipe() {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC), "pipe");
    return {Fd(ends[0]), Fd(ends[1])};
}

std::pair<Fd, Fd> make_socketpair() {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), "socketpair");
    return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace frsh
