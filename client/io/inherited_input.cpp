#include "client/io/inherited_input.hpp"

#include "common/base/error.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace frsh {
namespace {

// A file is not reopened: the new descriptor would begin at offset 0. A fifo(7) is not reopened
// either: with O_NONBLOCK, after its last writer has closed it, poll(2) never reports its end.
bool wants_opening_anew(int fd, mode_t mode) {
    if (::isatty(fd) == 1) return true;
    struct statfs system {};
    check(::fstatfs(fd, &system), "fstatfs");
    return S_ISFIFO(mode) && system.f_type == PIPEFS_MAGIC;
}

}  // namespace

InheritedInput::InheritedInput(int fd) : lent_(fd) {
    struct stat info {};
    check(::fstat(fd, &info), "fstat");
    is_socket_ = S_ISSOCK(info.st_mode);
    if (wants_opening_anew(fd, info.st_mode)) own_ = open_anew(fd, O_RDONLY);
}

IoResult InheritedInput::read(char* buffer, std::size_t size) {
    if (!is_socket_) return read_some(fd(), buffer, size);
    const ssize_t got = ::recv(lent_, buffer, size, MSG_DONTWAIT);
    if (got > 0) return {IoResult::Status::Done, static_cast<std::size_t>(got)};
    if (got == 0 || errno == ECONNRESET) return {IoResult::Status::EndOfFile};
    if (errno == EAGAIN || errno == EINTR) return {IoResult::Status::WouldBlock};
    throw SysError("read");
}

}  // namespace frsh
