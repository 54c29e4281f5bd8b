// One output stream of a run: from the command's pipe, or its terminal, to the link.
//
// Bytes are counted and summed as they leave the pipe, so that what the record says is what the
// command produced. They wait in a stream of at most one window; while it is full the pipe is not
// read, and the command waits. With a cap, the first half goes out at once, the last half is kept
// back until the end, and what lies between is counted and dropped.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "server/run/output_consumer.hpp"

#include <functional>
#include <optional>

namespace frsh {

class OutputReader {
  public:
    using Time = EventLoop::Time;

    // `on_change` is called after bytes came or the stream ended. `pipe` is the read end, or a
    // terminal's master; a stream without one has ended. At most `window` bytes wait here.
    OutputReader(EventLoop& loop, StreamId id, Fd pipe, std::optional<std::uint64_t> cap,
                 std::function<void()> on_change, Offset window = kWindow);

    // Takes what the pipe holds right now, as far as there is room.
    void drain();
    // No more is read; what was read is still delivered. Gives the pipe away if it was open.
    Fd close();
    // The peer wants no more: the command's next write is its death, or EPIPE.
    void stop();
    // The peer has gone: what still comes is read and dropped, so that a command that cleans up
    // does not die of saying so.
    void discard();
    void credit(Offset consumed, Offset limit);
    // A new connection, whose peer has everything below `at`. Throws ProtocolError.
    void resume(Offset at) { stream_.resume(at); }

    [[nodiscard]] bool is_open() const { return pipe_.is_open(); }
    // Full up, waiting for the peer: silence now is not the command's.
    [[nodiscard]] bool is_blocked() const { return pipe_.is_open() && !may_read(); }
    [[nodiscard]] Time last_activity() const { return last_activity_; }
    // All that will ever be sent has been.
    [[nodiscard]] bool is_delivered() const;
    [[nodiscard]] bool has_output() const;
    void put_chunk(std::string& out, Channel channel, std::size_t most, Time run_start);

    // Gives the consumer everything that has arrived. Returns true if there was anything.
    bool write_down(OutputConsumer& consumer, Time run_start);

    [[nodiscard]] StreamSummary summary() const;
    // The pipe itself, lent, while it is open.
    [[nodiscard]] int pipe() const { return pipe_.get(); }

  private:
    [[nodiscard]] bool may_read() const;
    void on_readable();
    void take(std::string_view bytes);
    void trim_tail();
    Fd finish(bool saw_end);

    StreamId id_;
    Fd pipe_;
    std::function<void()> on_change_;
    SendStream stream_;
    Crc32 sum_;            // Of everything produced.
    Offset produced_ = 0;  // Bytes.
    bool eof_ = false;     // Every writer is gone; only then is nothing missing.
    Time last_activity_;
    int full_reads_ = 0;
    bool is_large_ = false;
    bool is_discarding_ = false;

    // With a cap.
    std::optional<Offset> head_;  // Bytes that go out at once.
    Offset tail_size_ = 0;        // The most that is kept back.
    std::string tail_;            // Kept back; at most twice tail_size_, trimmed now and then.
    Crc32 tail_sum_;              // Of everything before tail_.
    msg::Gap gap_;                // As it is told, once there is one.
    std::optional<Offset> gap_at_;
    Offset dropped_ = 0;

    EventLoop::Watch watch_;
};

}  // namespace frsh
