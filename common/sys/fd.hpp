// Fd owns one kernel file descriptor and closes it exactly once.
//
// Move it to pass ownership, `.get()` to lend it. It is never copied or shared: when two objects
// need the same descriptor, one of them owns it and outlives the other.
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

// What one attempt at I/O achieved. Would-block and end-of-file are not errors.
struct IoResult {
    enum class Status { Done, WouldBlock, EndOfFile };
    Status status = Status::Done;
    std::size_t bytes = 0;
};

// One read(2), restarted when a signal interrupts it. A pty master whose last slave closed, and a
// connection that was reset, are ends of file: nothing more will come. Throws SysError otherwise.
IoResult read_some(int fd, char* buffer, std::size_t size);

// One write(2) or writev(2). A reader that has gone (EPIPE, ECONNRESET) is EndOfFile: nobody will
// take any more. Throws SysError otherwise (ENOSPC, EIO, ...). SIGPIPE must be ignored.
IoResult write_some(int fd, std::string_view bytes);
IoResult write_some(int fd, const struct iovec* parts, int count);

// Blocking helpers for small files. Both throw SysError; read_file also when it is larger than
// `limit` bytes (EFBIG).
std::string read_file(const std::string& path, std::size_t limit);
void write_all(int fd, std::string_view bytes);

// Closes what this process has open but the standard streams and `kept`, whoever owns it.
void close_all_but(std::vector<int> kept);

void set_nonblocking(int fd);
void set_blocking(int fd);

// The pipe or terminal behind `fd` once more, non-blocking and close-on-exec, through
// /proc/self/fd (proc(5)); `access` is O_RDONLY or O_WRONLY. O_NONBLOCK belongs to the open file,
// which others may share: here it is ours alone. Not open where that cannot be had (a terminal of
// another container, or that this user may not open).
[[nodiscard]] Fd open_anew(int fd, int access);

struct Pipe {
    Fd read_end;
    Fd write_end;
};
// Both ends close-on-exec; blocking, as a command expects its end to be.
Pipe make_pipe();

// A connected AF_UNIX stream pair, both ends close-on-exec and non-blocking.
std::pair<Fd, Fd> make_socketpair();

}  // namespace frsh
