// One direction of one channel: a byte stream that survives the connection carrying it.
//
// Every byte has an offset, counted from the start of the stream. Two offsets, sent by the
// receiver, do three jobs at once:
//     consumed   all bytes below it are used: the sender may forget them          (acknowledgement)
//     limit      all bytes below it may be sent, none above                       (flow control)
//     consumed, repeated on a new connection                                      (resume)
// They are absolute, not increments, so a repeated one is harmless.
//
// Half-close: each direction ends by itself. A client that has ended stdin still reads stdout. This
// is shutdown(SHUT_WR) of TCP, for each stream of each run.
//
// This file does no I/O and reads no clock: the caller passes the time where it matters.
#pragma once

#include "common/base/byte_queue.hpp"
#include "common/proto/window_budget.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace frsh {

using Offset = std::uint64_t;  // In bytes, from the start of the stream.

// The limit of a sender that has received no credit yet, in bytes.
inline constexpr Offset kInitialWindow = 256 * 1024;
// The window, in bytes: how far a receiver's limit is above `consumed`. It starts at kWindow and
// grows up to kLargestWindow if the round trip is so long that the sender waits for credit.
inline constexpr Offset kWindow = 1024 * 1024;
inline constexpr Offset kLargestWindow = 16 * 1024 * 1024;
// The window of the output of a run on a terminal. It is smaller, because output that is on its way
// is still shown after the Ctrl-C that should end it.
inline constexpr Offset kTerminalWindow = 64 * 1024;
// The largest payload of one data frame, in bytes.
inline constexpr std::size_t kMaxData = 64 * 1024;

class SendStream {
  public:
    struct Piece {
        Offset offset;
        std::string_view bytes;  // Lent until the stream is changed.
    };

    explicit SendStream(Offset window = kWindow)
        : window_(window), limit_(std::min(window, kInitialWindow)) {}
    // Shares `budget` with other streams: it grows with the receiver's window, as far as there is
    // room. `budget` is lent.
    explicit SendStream(WindowBudget& budget)
        : window_(kForwardFirstWindow), limit_(kForwardFirstWindow), share_(budget, window_) {}

    // Returns how many bytes may be appended until the stream holds a full window: its own, or the
    // receiver's if that one has grown.
    [[nodiscard]] std::size_t room() const;
    void append(std::string_view bytes);
    // Returns room to read the next bytes into; commit() adds what was read. `size` is at most
    // room(), which must not be 0.
    char* place(std::size_t& size);
    void commit(std::size_t size);

    // Ends the stream: nothing more will be appended.
    void finish() { finished_ = true; }
    [[nodiscard]] bool is_finished() const { return finished_; }
    // Forgets the bytes that were never sent: the stream ends at the last byte that was. Called
    // when the receiver wants no more.
    void stop();
    [[nodiscard]] bool is_stopped() const { return stopped_; }
    // Adds a gap: bytes [end(), to) will never be sent. There may be one gap at a time: the next is
    // allowed when the peer has consumed everything up to `to`.
    void skip_to(Offset to);
    [[nodiscard]] bool has_gap() const { return gap_.has_value(); }
    // Returns true if all bytes before the gap were sent and the gap was not. gap_sent() notes it.
    [[nodiscard]] bool is_gap_due() const { return gap_ && sent_ == gap_->begin; }
    void gap_sent();

    [[nodiscard]] Offset end() const { return begin_ + waiting_.size() + gap_size(); }
    // Returns how many bytes are stored: not sent yet, or sent and not consumed. A gap has none.
    [[nodiscard]] std::size_t held() const { return waiting_.size(); }
    [[nodiscard]] Offset sent() const { return sent_; }
    [[nodiscard]] Offset consumed() const { return begin_; }

    // Returns true if there are bytes that may be sent now.
    [[nodiscard]] bool has_piece() const;
    // Returns the next piece, at most `most` bytes and one block, and counts it as sent.
    std::optional<Piece> next(std::size_t most = kMaxData);
    // Returns true if all bytes were sent and the end was not. eof_sent() notes that it was.
    [[nodiscard]] bool is_eof_due() const { return finished_ && !eof_sent_ && sent_ == end(); }
    void eof_sent() { eof_sent_ = true; }
    [[nodiscard]] bool is_eof_sent() const { return eof_sent_; }

    // Takes the receiver's credit. Throws ProtocolError if `consumed` is above what any connection
    // ever carried, or `limit` is below `consumed`.
    void credit(Offset consumed, Offset limit);

    // Continues on a new connection. The peer has all bytes below `at`; what follows is sent again,
    // and so is the end. Throws ProtocolError if `at` was never reached or is already forgotten.
    void resume(Offset at);

  private:
    struct Gap {
        Offset begin;
        Offset end;
    };
    [[nodiscard]] Offset gap_size() const { return gap_ ? gap_->end - gap_->begin : 0; }
    // Returns the offset at which the bytes that may be sent now end.
    [[nodiscard]] Offset reach() const;

    ByteQueue waiting_;   // The bytes from begin_ on, without the gap.
    Offset begin_ = 0;    // The peer has consumed all bytes below, and they are forgotten here.
    Offset sent_ = 0;     // This connection has carried all bytes below.
    Offset highest_ = 0;  // The largest value of sent_ on any connection.
    Offset window_;
    Offset limit_;
    WindowBudget::Share share_ = {};
    std::optional<Gap> gap_;  // Its end is above begin_.
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
    // Shares `budget` with other streams. Its credit is due at once: the window that both ends
    // begin with is small. `budget` is lent.
    explicit ReceiveStream(WindowBudget& budget);

    using Time = std::chrono::steady_clock::time_point;

    // Counts bytes that arrived at this offset; the caller keeps the bytes. Throws ProtocolError
    // unless they follow those before and stay below the limit that was sent. Grows the window if
    // the sender used all of it and then paused: it was too small for the round trip.
    void accept(Offset offset, std::size_t size, Time now);
    // Continues the stream at `to`. Throws ProtocolError unless `offset` is received().
    void skip(Offset offset, Offset to);
    // Ends the stream. Throws ProtocolError unless all bytes before `offset` have arrived.
    void finish(Offset offset);

    // Counts that many more bytes as used.
    void consume(std::size_t size) { consumed_ += size; }

    [[nodiscard]] Offset received() const { return received_; }
    [[nodiscard]] Offset consumed() const { return consumed_; }
    [[nodiscard]] bool is_finished() const { return finished_; }

    // Returns the credit to send, if it is worth a frame: the sender has used half of the window.
    // credit_sent() notes that it was sent.
    [[nodiscard]] std::optional<Credit> due_credit() const;
    void credit_sent(const Credit& credit, Time now);

    // Continues on a new connection: credit is due again, because the last may not have arrived,
    // and the sender may repeat the end.
    void resume();

  private:
    void grow_if_starved(Time now);
    void grow_to(Offset window);

    Offset received_ = 0;
    Offset consumed_ = 0;
    Offset window_;
    Offset limit_;
    WindowBudget::Share share_ = {};
    std::vector<Offset> told_;  // The sent limits that the sender has not reached, in order.
    Time waiting_since_{};      // The time of the latest data or credit.
    bool finished_ = false;
    bool is_credit_due_ = false;  // Credit is due even if little of the window is used.
    bool may_end_again_ = false;
};

}  // namespace frsh
