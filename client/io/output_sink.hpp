// Where the output of a run goes on this side.
#pragma once

#include "common/base/byte_queue.hpp"
#include "common/proto/stream.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace frsh {

class OutputSink {
  public:
    virtual ~OutputSink() = default;

    // Takes all of it; what cannot be used yet is kept, and counts against the stream's window.
    virtual void write(std::string_view bytes) = 0;
    // Bytes used since this was last asked.
    virtual Offset take_used() = 0;
    // Nothing is kept back.
    [[nodiscard]] virtual bool is_drained() const = 0;
    // The errno because of which nothing more can be written; 0 while all is well. EPIPE: whoever
    // read this has gone.
    [[nodiscard]] virtual int failure() const { return 0; }
};

// One of our own standard streams, lent by whoever started us and left as it was: O_NONBLOCK is a
// property of the open file, which the caller's shell and our siblings share, so it is never set
// there. A pipe or a terminal is opened anew through /proc/self/fd, a socket has MSG_DONTWAIT, a
// plain file takes what it is given, and where all that fails small writes follow a poll(2).
class InheritedOutput : public OutputSink {
  public:
    enum class WasOpen { Yes, No };
    InheritedOutput(EventLoop& loop, std::string name, int fd, WasOpen was_open);

    void write(std::string_view bytes) override;
    Offset take_used() override;
    [[nodiscard]] bool is_drained() const override { return pending_.is_empty(); }
    [[nodiscard]] int failure() const override { return failure_; }

    // For a plain file on a network, close(2) is what tells of a full disk.
    void close();

  private:
    enum class Way { Direct, Reopened, Socket, Cautious, Closed };
    [[nodiscard]] IoResult attempt(std::string_view bytes);
    void write_pending();
    void fail(int error);

    int fd_;
    Fd own_;
    Way way_ = Way::Direct;
    ByteQueue pending_;
    Offset used_ = 0;
    int failure_ = 0;
    EventLoop::Watch watch_;
};

// For nobody. With EPIPE the sender is told so, and need not send any.
class NullSink : public OutputSink {
  public:
    explicit NullSink(int failure) : failure_(failure) {}
    void write(std::string_view bytes) override { used_ += bytes.size(); }
    Offset take_used() override { return std::exchange(used_, 0); }
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override { return failure_; }
    void fail(int failure) { failure_ = failure; }

  private:
    int failure_;
    Offset used_ = 0;
};

// Kept until it is asked for: in memory, and beyond 1 MiB in a file without a name.
class SpooledOutput : public OutputSink {
  public:
    void write(std::string_view bytes) override;
    Offset take_used() override;
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override { return failure_; }

    // Everything, at once.
    [[nodiscard]] std::string content() const;
    // The same in pieces: what is there from `at` on, as much as fits; empty at its end. Throws
    // SysError.
    [[nodiscard]] std::string_view piece(Offset at, std::string& buffer) const;
    void copy_to(OutputSink& other) const;
    [[nodiscard]] Offset size() const { return size_; }

  private:
    std::string memory_;
    Fd file_;
    Offset size_ = 0;
    Offset used_ = 0;
    int failure_ = 0;
};

}  // namespace frsh
