// Fd owns one kernel file descriptor and closes it exactly once.
//
// Move an Fd to pass ownership; use `.get()` to lend the number. An Fd is never copied or shared.
// If two objects need the same descriptor, one of them owns it and outlives the other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct iovec;  // <sys/uio.h>

namespace frsh {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    void close();

  private:
    int fd_ = -1;
};

// The result of one attempt at I/O. Would-block and end-of-file are not errors.
struct IoResult {
    enum class Status { Done, WouldBlock, EndOfFile };
    Status status = Status::Done;
    std::size_t bytes = 0;
};

// Calls read(2) once, and again if a signal interrupts it. Returns EndOfFile also for a pty master
// whose last slave was closed (EIO) and for a connection that was reset. Throws SysError otherwise.
IoResult read_some(int fd, char* buffer, std::size_t size);

// Calls write(2) or writev(2) once. Returns EndOfFile if the reader has gone (EPIPE, ECONNRESET).
// Throws SysError otherwise (ENOSPC, EIO, ...). SIGPIPE must be ignored.
IoResult write_some(int fd, std::string_view bytes);
IoResult write_some(int fd, const struct iovec* parts, int count);

// Helpers for small files; both block. Both throw SysError; read_file also if the file is larger
// than `limit` bytes (EFBIG).
std::string read_file(const std::string& path, std::size_t limit);
void write_all(int fd, std::string_view bytes);

// Closes all descriptors of this process except the standard streams and `kept`, also those that an
// Fd owns.
void close_all_but(std::vector<int> kept);

// Acts on all open descriptors from `first` to `last`. Where close_range(2) is refused (an old
// kernel, a seccomp profile), it takes their numbers from /proc/self/fd or, without /proc, tries
// each number below the limit. Async-signal-safe.
enum class RangeAction { Close, CloseOnExec };
void act_on_range(unsigned first, unsigned last, RangeAction action);

void set_nonblocking(int fd);
void set_blocking(int fd);

// Opens the pipe or terminal behind `fd` again through /proc/self/fd (proc(5)), non-blocking and
// close-on-exec; `access` is O_RDONLY or O_WRONLY. O_NONBLOCK belongs to the open file description,
// which other processes may share; the new one is not shared. Returns a closed Fd if the open fails
// (a terminal of another container, or one that this user may not open).
[[nodiscard]] Fd open_anew(int fd, int access);

struct Pipe {
    Fd read_end;
    Fd write_end;
};
// Makes a pipe. Both ends are close-on-exec, and blocking, as most commands expect.
Pipe make_pipe();

// Returns a connected AF_UNIX stream pair; both ends are close-on-exec and non-blocking.
std::pair<Fd, Fd> make_socketpair();

}  // namespace frsh
