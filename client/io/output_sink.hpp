// OutputSink takes the output of a run on the client's side; its subclasses say where it goes.
#pragma once

#include "common/base/byte_queue.hpp"
#include "common/proto/stream.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace frsh {

class OutputSink {
  public:
    virtual ~OutputSink() = default;

    // Takes all bytes. Those that cannot be written yet are stored, and count against the stream's
    // window.
    virtual void write(std::string_view bytes) = 0;
    // The bytes up to offset `to` were left out; `crc32` is the checksum of all bytes below it.
    virtual void skip(Offset /*to*/, std::uint32_t /*crc32*/) {}
    // Returns the number of bytes used since the last call.
    virtual Offset take_used() = 0;
    // Returns true if no bytes are stored.
    [[nodiscard]] virtual bool is_drained() const = 0;
    // Returns the errno of the write that failed for good, or 0. EPIPE: the reader has closed it.
    [[nodiscard]] virtual int failure() const { return 0; }
};

// InheritedOutput writes to a descriptor that the caller of frsh passed in. O_NONBLOCK is a
// property of the open file, which the caller's shell shares, so it is never set there. A pipe or a
// terminal is reopened through /proc/self/fd. A socket is written with MSG_DONTWAIT. A regular file
// does not block. If none of these works, each small write follows a poll(2).
class InheritedOutput : public OutputSink {
  public:
    enum class WasOpen { Yes, No };
    InheritedOutput(EventLoop& loop, const std::string& name, int fd, WasOpen was_open);

    void write(std::string_view bytes) override;
    Offset take_used() override;
    [[nodiscard]] bool is_drained() const override { return pending_.is_empty(); }
    [[nodiscard]] int failure() const override { return failure_; }

    // Calls `before` with bytes that are about to be written.
    void watch_writes(std::function<void(std::string_view)> before) { before_ = std::move(before); }
    // Closes the descriptor. On a network file system, only close(2) reports a full disk.
    void close();

  private:
    enum class Way { Direct, Reopened, Socket, Cautious, Closed };
    [[nodiscard]] IoResult attempt(std::string_view bytes);
    void write_pending();
    void fail(int error);

    std::function<void(std::string_view)> before_;
    int fd_;
    Fd own_;
    Way way_ = Way::Direct;
    ByteQueue pending_;
    Offset used_ = 0;
    int failure_ = 0;
    EventLoop::Watch watch_;
};

// NullSink drops the bytes. With EPIPE, the sender gets a `stop` and need not send any.
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

// SpooledOutput stores the bytes: up to 1 MiB in memory, the rest in a file without a name.
class SpooledOutput : public OutputSink {
  public:
    void write(std::string_view bytes) override;
    Offset take_used() override;
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override { return failure_; }
    // Returns a text for the user about the failure: which folder is full, and what to do.
    [[nodiscard]] std::string problem() const;

    // Returns all bytes.
    [[nodiscard]] std::string content() const;
    // Returns bytes from offset `at` on, as many as fit into `buffer`; empty at the end. Throws
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
