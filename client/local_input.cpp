#include "client/local_input.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <algorithm>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace frsh {

LocalInput::LocalInput(EventLoop& loop, int fd, RemoteRun& run) : fd_(fd), run_(run) {
    struct stat info {};
    check(::fstat(fd, &info), "fstat stdin");
    is_socket_ = S_ISSOCK(info.st_mode);
    // Only a pipe: a file opened anew would begin at its start, and a terminal waits well enough.
    // And only one without a name: poll(2) never tells of the end of a fifo(7) that was opened,
    // with O_NONBLOCK, after its last writer had gone.
    struct statfs system {};
    check(::fstatfs(fd, &system), "fstatfs stdin");
    if (S_ISFIFO(info.st_mode) && system.f_type == PIPEFS_MAGIC) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        own_ = Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    }
    watch_ = loop.watch(
        "stdin: bytes from the caller", own_.is_open() ? own_.get() : fd_,
        [this]() -> short {
            const bool wanted = !is_done_ && !run_.is_finished() && run_.stdin_room() > 0;
            return wanted ? POLLIN : short{0};
        },
        [this](short) { on_readable(); });
}

void LocalInput::on_readable() {
    char buffer[64 * 1024];
    const std::size_t size = std::min(sizeof buffer, run_.stdin_room());
    IoResult result;
    try {
        if (is_socket_) {
            const ssize_t got = ::recv(fd_, buffer, size, MSG_DONTWAIT);
            if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
            if (got == -1 && errno != ECONNRESET) throw SysError("read stdin");
            result = got > 0 ? IoResult{IoResult::Status::Done, static_cast<std::size_t>(got)}
                             : IoResult{IoResult::Status::EndOfFile};
        } else {
            // After poll(2) said so, one read does not wait, whatever it reads from.
            result = read_some(own_.is_open() ? own_.get() : fd_, buffer, size);
        }
    } catch (const SysError& error) {
        log::error(std::string("stdin: ") + error.what());
        result = {IoResult::Status::EndOfFile};
    }
    if (result.status == IoResult::Status::WouldBlock) return;
    if (result.status == IoResult::Status::EndOfFile) {
        is_done_ = true;
        run_.finish_stdin();
        return;
    }
    run_.append_stdin({buffer, result.bytes});
}

}  // namespace frsh
