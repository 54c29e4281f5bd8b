#include "client/io/output_sink.hpp"

#include "common/base/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxInMemory = 1024 * 1024;
// pipe(7): a pipe that poll(2) calls writable takes PIPE_BUF bytes without waiting.
constexpr std::size_t kCautious = 4096;

std::string spool_folder() {
    const char* const given = std::getenv("TMPDIR");
    return given != nullptr && given[0] == '/' ? given : "/tmp";
}

Fd open_unnamed_file() {
    const std::string folder = spool_folder();
    Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file.is_open()) return file;
    // Some file systems do not support O_TMPFILE.
    std::string name = folder + "/frsh-XXXXXX";
    file = Fd(check(::mkostemp(name.data(), O_CLOEXEC), "temporary file in " + folder));
    ::unlink(name.c_str());
    return file;
}

}  // namespace

InheritedOutput::InheritedOutput(EventLoop& loop, const std::string& name, int fd, WasOpen was_open)
    : fd_(fd) {
    if (was_open == WasOpen::No) {
        way_ = Way::Closed;
        return;
    }
    struct stat info {};
    check(::fstat(fd, &info), "fstat");
    if (S_ISSOCK(info.st_mode)) {
        way_ = Way::Socket;
    } else if (S_ISFIFO(info.st_mode) || ::isatty(fd) == 1) {
        own_ = open_anew(fd, O_WRONLY);
        way_ = own_.is_open() ? Way::Reopened : Way::Cautious;
    }
    watch_ = loop.watch(
        name + ": room for output", own_.is_open() ? own_.get() : fd_,
        [this]() -> short { return pending_.is_empty() ? short{0} : POLLOUT; },
        [this](short) { write_pending(); });
}

IoResult InheritedOutput::attempt(std::string_view bytes) {
    switch (way_) {
        case Way::Direct:
            return write_some(fd_, bytes);
        case Way::Reopened:
            return write_some(own_.get(), bytes);
        case Way::Cautious:
            return write_some(fd_, bytes.substr(0, kCautious));
        case Way::Closed:
            throw SysError("write", EBADF);
        case Way::Socket:
            break;
    }
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return {IoResult::Status::Done, static_cast<std::size_t>(sent)};
    if (errno == EAGAIN || errno == EINTR) return {IoResult::Status::WouldBlock};
    if (errno == EPIPE || errno == ECONNRESET) return {IoResult::Status::EndOfFile};
    throw SysError("send");
}

void InheritedOutput::write(std::string_view bytes) {
    if (before_) before_(bytes);
    // Writes directly if nothing is pending. A cautious write waits for poll(2) instead.
    while (failure_ == 0 && pending_.is_empty() && way_ != Way::Cautious && !bytes.empty()) {
        try {
            const IoResult result = attempt(bytes);
            if (result.status == IoResult::Status::EndOfFile) {
                fail(EPIPE);
            } else if (result.status == IoResult::Status::WouldBlock) {
                break;
            } else {
                used_ += result.bytes;
                bytes.remove_prefix(result.bytes);
            }
        } catch (const SysError& error) {
            fail(error.code().value());
        }
    }
    if (failure_ != 0) {
        used_ +=
            bytes.size();  // The output has failed: the bytes count as used, and `stop` is sent.
    } else {
        pending_.append(bytes);
    }
}

void InheritedOutput::write_pending() {
    while (!pending_.is_empty()) {
        try {
            const IoResult result = attempt(pending_.piece());
            if (result.status == IoResult::Status::WouldBlock) return;
            if (result.status == IoResult::Status::EndOfFile) return fail(EPIPE);
            used_ += result.bytes;
            pending_.drop(result.bytes);
        } catch (const SysError& error) {
            return fail(error.code().value());
        }
        if (way_ == Way::Cautious) return;
    }
}

void InheritedOutput::fail(int error) {
    failure_ = error;
    used_ += pending_.size();
    pending_.clear();
}

Offset InheritedOutput::take_used() {
    return std::exchange(used_, 0);
}

void InheritedOutput::close() {
    own_.close();
    watch_.reset();
    if (failure_ == 0 && ::close(fd_) == -1 && errno != EINTR) failure_ = errno;
}

void SpooledOutput::write(std::string_view bytes) {
    used_ += bytes.size();
    if (failure_ != 0) return;
    size_ += bytes.size();
    if (!file_.is_open() && memory_.size() + bytes.size() <= kMaxInMemory) {
        memory_ += bytes;
        return;
    }
    try {
        if (!file_.is_open()) {
            file_ = open_unnamed_file();
            write_all(file_.get(), memory_);
            memory_ = {};
        }
        write_all(file_.get(), bytes);
    } catch (const SysError& error) {
        failure_ = error.code().value();
    }
}

Offset SpooledOutput::take_used() {
    return std::exchange(used_, 0);
}

std::string SpooledOutput::problem() const {
    return "the output could not be stored in " + spool_folder() + ": " + std::strerror(failure_) +
           "; set TMPDIR to a folder with more room, or use --max-output";
}

std::string SpooledOutput::content() const {
    class Collected : public OutputSink {
      public:
        std::string all;
        void write(std::string_view bytes) override { all += bytes; }
        Offset take_used() override { return 0; }
        [[nodiscard]] bool is_drained() const override { return true; }
    } collected;
    copy_to(collected);
    return std::move(collected.all);
}

std::string_view SpooledOutput::piece(Offset at, std::string& buffer) const {
    if (!file_.is_open()) return std::string_view(memory_).substr(static_cast<std::size_t>(at));
    const ssize_t got =
        check(::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(at)), "read");
    return std::string_view(buffer).substr(0, static_cast<std::size_t>(got));
}

void SpooledOutput::copy_to(OutputSink& other) const {
    std::string buffer(kMaxInMemory, '\0');
    for (Offset at = 0; at < size_;) {
        const std::string_view next = piece(at, buffer);
        if (next.empty()) throw SysError("temporary file", EIO);
        other.write(next);
        at += next.size();
    }
}

}  // namespace frsh
