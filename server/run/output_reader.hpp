// OutputReader is one output stream of a run: from the command's pipe, or its terminal, to the
// link.
//
// Bytes are counted and summed as they leave the pipe, so the record states what the command
// produced. They wait in a stream of at most one window. While it is full, the pipe is not read,
// and the command waits. With a cap, the first half of the cap is sent at once, the last half is
// held back until the end, and the bytes between are counted and dropped.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "server/run/output_consumer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class OutputReader {
  public:
    using Time = EventLoop::Time;

    // `on_change` is called after bytes came or the stream ended. `pipe` is the read end, or a
    // terminal's master; if it is not open, the stream has ended. `cap` is the most bytes to
    // deliver; at most `window` bytes wait here.
    OutputReader(EventLoop& loop, StreamId id, Fd pipe, std::optional<std::uint64_t> cap,
                 std::function<void()> on_change, Offset window = kWindow);
    // Reads a socket, with a window out of `budget`, which is lent.
    OutputReader(EventLoop& loop, StreamId id, Fd socket, std::function<void()> on_change,
                 WindowBudget& budget);

    // Reads what the pipe holds now, as far as there is room, with at most four reads.
    void drain();
    // Adds bytes that came before the pipe was read.
    void begin_with(std::string_view bytes);
    // Reads what was printed until now and then ends the stream, though the pipe goes on.
    void finish_when_empty();
    // Stops reading; bytes that were read are still delivered. Returns the pipe if it was open.
    Fd close();
    // Closes the pipe: the command's next write gets SIGPIPE, or EPIPE.
    void stop();
    // Reads and drops all further output. Called when the peer has gone: a command that prints
    // while it cleans up gets no SIGPIPE.
    void discard();
    void credit(Offset consumed, Offset limit);
    // Continues on a new connection, whose peer has all bytes below `at`. Throws ProtocolError.
    void resume(Offset at) { stream_.resume(at); }

    [[nodiscard]] bool is_open() const { return pipe_.is_open(); }
    // Returns true if the window is full: then the command waits for the peer, and is not idle.
    [[nodiscard]] bool is_blocked() const { return pipe_.is_open() && !may_read(); }
    [[nodiscard]] Time last_activity() const { return last_activity_; }
    // Returns true once everything has been sent.
    [[nodiscard]] bool is_delivered() const;
    [[nodiscard]] bool has_output() const;
    void put_chunk(std::string& out, Channel channel, std::size_t most, Time run_start);

    // Gives the consumer everything that has arrived. Returns true if there was anything.
    bool write_down(OutputConsumer& consumer, Time run_start);

    [[nodiscard]] StreamSummary summary() const;
    // Returns the pipe's descriptor, lent; -1 if it is closed.
    [[nodiscard]] int pipe() const { return pipe_.get(); }

  private:
    // A socket that its peer resets, or that times out, ends without `eof`.
    enum class Source { Pipe, Socket };

    OutputReader(EventLoop& loop, StreamId id, Fd pipe, std::optional<std::uint64_t> cap,
                 std::function<void()> on_change, SendStream stream, Source source);
    [[nodiscard]] bool may_read() const;
    void on_readable();
    IoResult read(char* to, std::size_t size);
    void take(std::string_view bytes);
    void trim_tail();
    Fd finish(bool saw_end);

    StreamId id_;
    Fd pipe_;
    Source source_;
    bool was_cut_ = false;  // The socket failed, so bytes may be missing.
    std::function<void()> on_change_;
    SendStream stream_;
    Crc32 sum_;            // CRC-32 of all bytes produced.
    Offset produced_ = 0;  // Bytes.
    bool eof_ = false;     // Every writer has closed the pipe, so no byte is missing.
    Time last_activity_;
    int full_reads_ = 0;
    bool is_large_ = false;
    bool is_discarding_ = false;
    std::optional<Offset> last_;  // finish_when_empty(): no byte behind this is wanted.

    // What --max-output needs. Unused if `head` is not set.
    struct Cap {
        std::optional<Offset> head;  // Bytes that are sent at once.
        Offset tail_size = 0;        // The most bytes held back until the end.
        std::string tail;            // Held back; trimmed at twice tail_size and one block.
        Crc32 tail_sum;              // CRC-32 of all bytes before `tail`.
        msg::Gap gap;                // Valid if gap_at is set.
        std::optional<Offset> gap_at;
        Offset dropped = 0;  // Bytes.
    };
    Cap cap_;

    EventLoop::Watch watch_;
};

}  // namespace frsh
