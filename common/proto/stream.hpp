// One direction of one channel: a byte stream that survives the connection carrying it.
//
// Every byte has an offset, counted from the start of the stream. Two offsets, sent by the
// receiver, do three jobs at once:
//     consumed   "I have used everything below this": the sender may forget it    (acknowledgement)
//     limit      "you may send everything below this": no further                 (flow control)
//     consumed, said again on a new connection                                    (resume)
// They are absolute, not increments, so saying one twice is harmless.
//
// Half-close: each direction ends by itself. A client that has said the end of stdin still reads
// stdout; that is shutdown(SHUT_WR) of TCP, for each stream of each run.
//
// This file does no I/O and reads no clock; where time counts, it is told.
#pragma once

#include "common/base/byte_queue.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace frsh {

using Offset = std::uint64_t;  // In bytes, from the start of the stream.

// What a sender may send before it has seen any credit, in bytes.
inline constexpr Offset kInitialWindow = 256 * 1024;
// How far above what is consumed a receiver lets the sender go, in bytes: at first, and at most
// where the path is so long that a sender waits for credit (a window lasts for one round trip).
inline constexpr Offset kWindow = 1024 * 1024;
inline constexpr Offset kLargestWindow = 16 * 1024 * 1024;
// Both of these for the output of a run on a terminal: what is on its way is shown after the Ctrl-C
// that was to end it, so it is less.
inline constexpr Offset kTerminalWindow = 64 * 1024;
// The most that one data frame carries, in bytes.
inline constexpr std::size_t kMaxData = 64 * 1024;

class SendStream {
  public:
    struct Piece {
        Offset offset;
        std::string_view bytes;  // Lent until the stream is changed.
    };

    explicit SendStream(Offset window = kWindow)
        : window_(window), limit_(std::min(window, kInitialWindow)) {}

    // Bytes that may still be appended before the stream holds a full window: ours, or the
    // receiver's where that has grown.
    [[nodiscard]] std::size_t room() const;
    void append(std::string_view bytes);
    // Room for the next bytes to be read to directly; then say how many came. `size` is never more
    // than room(); call only where there is some.
    char* place(std::size_t& size);
    void commit(std::size_t size);

    // Nothing more will be appended.
    void finish() { finished_ = true; }
    [[nodiscard]] bool is_finished() const { return finished_; }
    // Bytes that were never sent are forgotten, as though the stream ended at the last one that
    // was: the receiver wants no more.
    void stop();
    [[nodiscard]] bool is_stopped() const { return stopped_; }
    // Appends nothing but moves on: bytes [end(), to) will never be sent. Not again before the peer
    // has consumed everything up to there.
    void skip_to(Offset to);
    [[nodiscard]] bool has_gap() const { return gap_.has_value(); }
    // Everything before the gap was sent, and the gap was not: say it, and it counts as said.
    [[nodiscard]] bool is_gap_due() const { return gap_ && sent_ == gap_->begin; }
    void gap_sent();

    [[nodiscard]] Offset end() const { return begin_ + waiting_.size() + gap_size(); }
    // Bytes that wait or were sent and are not known to be used; a gap has none.
    [[nodiscard]] std::size_t held() const { return waiting_.size(); }
    [[nodiscard]] Offset sent() const { return sent_; }
    [[nodiscard]] Offset consumed() const { return begin_; }

    // Is there something that may be sent now?
    [[nodiscard]] bool has_piece() const;
    // The next piece, at most `most` bytes and one block; it counts as sent.
    std::optional<Piece> next(std::size_t most = kMaxData);
    // Everything was sent, and the end of the stream was not: say it, and it counts as said.
    [[nodiscard]] bool is_eof_due() const { return finished_ && !eof_sent_ && sent_ == end(); }
    void eof_sent() { eof_sent_ = true; }
    [[nodiscard]] bool is_eof_sent() const { return eof_sent_; }

    // Throws ProtocolError for a claim of bytes that no connection ever carried, or a limit below
    // what is consumed.
    void credit(Offset consumed, Offset limit);

    // A new connection: the peer has everything below `at`, and what follows is sent again, the end
    // included. Throws ProtocolError for a place that was never reached, or is forgotten.
    void resume(Offset at);

  private:
    struct Gap {
        Offset begin;
        Offset end;
    };
    [[nodiscard]] Offset gap_size() const { return gap_ ? gap_->end - gap_->begin : 0; }
    // Where the bytes that may be sent in one go end.
    [[nodiscard]] Offset reach() const;

    ByteQueue waiting_;   // From begin_ on, without the gap.
    Offset begin_ = 0;    // All below is consumed by the peer, and forgotten here.
    Offset sent_ = 0;     // What this connection has carried.
    Offset highest_ = 0;  // What any connection has carried; the peer may claim no more than this.
    Offset window_;
    Offset limit_;
    std::optional<Gap> gap_;  // Not below begin_.
    bool finished_ = false;
    bool eof_sent_ = false;
    bool stopped_ = false;
};

class ReceiveStream {
  public:
    struct Credit {
        Offset consumed;
        Offset limit;
    };

    explicit ReceiveStream(Offset window = kWindow)
        : window_(window), limit_(std::min(window, kInitialWindow)) {}

    using Time = std::chrono::steady_clock::time_point;

    // Bytes arrived at this offset. Throws ProtocolError unless they follow what came before and
    // stay below the limit we gave. Takes no copy: what to do with them is the caller's business.
    // A window that was all used, with a pause until more came, was too small for the path.
    void accept(Offset offset, std::size_t size, Time now);
    // The stream goes on at `to`. Throws ProtocolError unless the gap begins where we are.
    void skip(Offset offset, Offset to);
    // The sender said the end. Throws ProtocolError unless everything before has arrived.
    void finish(Offset offset);

    // That many more bytes have been used.
    void consume(std::size_t size) { consumed_ += size; }

    [[nodiscard]] Offset received() const { return received_; }
    [[nodiscard]] Offset consumed() const { return consumed_; }
    [[nodiscard]] bool is_finished() const { return finished_; }

    // What to tell the sender, when it is worth a frame: the sender has used up half of what we
    // would let it have.
    [[nodiscard]] std::optional<Credit> due_credit() const;
    void credit_sent(const Credit& credit, Time now);

    // A new connection: credit is said again, since it may never have arrived; and the sender says
    // the end again.
    void resume();

  private:
    void grow_if_starved(Time now);

    Offset received_ = 0;
    Offset consumed_ = 0;
    Offset window_;
    Offset limit_;
    std::vector<Offset> told_;  // The limits that the sender has not come to, in order.
    Time waiting_since_{};      // Of the latest data, or credit.
    bool finished_ = false;
    bool is_credit_due_ = false;  // Whatever the window says.
    bool may_end_again_ = false;
};

}  // namespace frsh
