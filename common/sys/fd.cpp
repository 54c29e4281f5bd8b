#include "common/sys/fd.hpp"

#include "common/base/error.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace frsh {

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
        if (number > first) ::close_range(first, number - 1, 0);
        first = number + 1;
    }
    ::close_range(first, ~0U, 0);
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
