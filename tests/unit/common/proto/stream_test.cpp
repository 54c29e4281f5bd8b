#include "common/proto/stream.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <utility>

#include <doctest/doctest.h>

using frsh::kInitialWindow;
using frsh::kWindow;
using frsh::Offset;
using frsh::ProtocolError;
using frsh::ReceiveStream;
using frsh::SendStream;

namespace {

char byte_at(Offset offset) {
    return static_cast<char>((offset * 2654435761U) >> 13);
}

std::string bytes_from(Offset begin, std::size_t size) {
    std::string bytes;
    bytes.reserve(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes += byte_at(begin + i);
    return bytes;
}

struct Sent {
    enum class Kind { Data, Gap, Eof, Credit } kind;
    Offset offset = 0;
    Offset to = 0;  // The end of a gap, or the limit of a credit.
    std::string bytes = {};
};

// Two ends and a wire between them, driven at random. Compares the received bytes with the sent.
class Model {
  public:
    explicit Model(unsigned seed) : random_(seed) {}

    void run(Offset total, bool may_gap, bool may_resume, bool may_stop) {
        total_ = total;
        for (int step = 0; step < 200'000; ++step) {
            switch (pick(12)) {
                case 0:
                case 1:
                    append();
                    break;
                case 2:
                case 3:
                    transmit();
                    break;
                case 4:
                case 5:
                    deliver();
                    break;
                case 6:
                case 7:
                    consume();
                    break;
                case 8:
                case 9:
                    credit();
                    break;
                case 10:
                    if (may_gap && pick(20) == 0) gap();
                    break;
                default:
                    if (may_resume && pick(200) == 0) resume();
                    if (may_stop && pick(2000) == 0) {
                        sender_.stop();
                        REQUIRE(sender_.room() == 0);
                        REQUIRE_FALSE(sender_.has_piece());
                    }
            }
            check_invariants();
            if (receiver_.is_finished()) break;
        }
        REQUIRE(receiver_.is_finished());
        if (!sender_.is_stopped()) {
            CHECK(appended_ == total_);
            CHECK(receiver_.received() == total_);
        }
    }

  private:
    std::size_t pick(std::size_t below) { return random_() % below; }
    std::size_t pick_size() {
        constexpr std::size_t kSizes[] = {0,
                                          1,
                                          2,
                                          1000,
                                          65535,
                                          65536,
                                          65537,
                                          kInitialWindow - 1,
                                          kInitialWindow,
                                          kWindow - 1,
                                          kWindow,
                                          kWindow + 1};
        return kSizes[pick(std::size(kSizes))];
    }

    void append() {
        if (sender_.is_finished()) return;
        const auto left = static_cast<std::size_t>(std::min<Offset>(total_ - appended_, 1U << 30));
        const std::size_t size = std::min({pick_size(), sender_.room(), left});
        const std::string bytes = bytes_from(appended_, size);
        if (pick(2) == 0) {
            sender_.append(bytes);
            appended_ += size;
        } else if (sender_.room() > 0 && left > 0) {
            std::size_t room = 0;
            char* const place = sender_.place(room);
            REQUIRE(room > 0);
            REQUIRE(room <= sender_.room());
            const std::size_t count = std::min(room, left);
            bytes_from(appended_, count).copy(place, count);
            sender_.commit(count);
            appended_ += count;
        }
        if (appended_ == total_) sender_.finish();
    }

    void transmit() {
        if (const auto piece = sender_.next(1 + pick(2 * frsh::kMaxData))) {
            REQUIRE(piece->bytes.size() > 0);
            wire_.push_back({Sent::Kind::Data, piece->offset, 0, std::string(piece->bytes)});
        } else if (sender_.is_gap_due()) {
            wire_.push_back({Sent::Kind::Gap, gap_.first, gap_.second});
            sender_.gap_sent();
        } else if (sender_.is_eof_due()) {
            wire_.push_back({Sent::Kind::Eof, sender_.end()});
            sender_.eof_sent();
        }
    }

    void gap() {
        if (sender_.is_finished() || sender_.has_gap()) return;
        const Offset to = std::min<Offset>(total_, appended_ + 1 + pick(3 * kWindow));
        gap_ = {appended_, to};
        sender_.skip_to(to);
        appended_ = to;
        if (appended_ == total_) sender_.finish();
    }

    void deliver() {
        if (wire_.empty()) return;
        const Sent one = std::move(wire_.front());
        wire_.pop_front();
        switch (one.kind) {
            case Sent::Kind::Data:
                REQUIRE(one.offset == receiver_.received());
                receiver_.accept(one.offset, one.bytes.size(), {});
                for (std::size_t i = 0; i < one.bytes.size(); ++i) {
                    if (one.bytes[i] != byte_at(one.offset + i)) FAIL("a byte differs");
                }
                unconsumed_ += one.bytes.size();
                break;
            case Sent::Kind::Gap:
                receiver_.skip(one.offset, one.to);
                break;
            case Sent::Kind::Eof:
                receiver_.finish(one.offset);
                break;
            case Sent::Kind::Credit:
                break;
        }
    }

    void consume() {
        const std::size_t size = std::min(pick_size(), unconsumed_);
        receiver_.consume(size);
        unconsumed_ -= size;
    }

    void credit() {
        if (const auto due = receiver_.due_credit()) {
            receiver_.credit_sent(*due, {});
            back_.push_back({Sent::Kind::Credit, due->consumed, due->limit});
        }
        if (back_.empty()) return;
        sender_.credit(back_.front().offset, back_.front().to);
        // A repeated credit is harmless.
        if (pick(4) == 0) sender_.credit(back_.front().offset, back_.front().to);
        back_.pop_front();
    }

    // A new connection: what was on the wire is gone, both ways, and the receiver says where it is.
    void resume() {
        wire_.clear();
        back_.clear();
        sender_.resume(receiver_.received());
        receiver_.resume();
    }

    void check_invariants() {
        if (sender_.is_stopped()) return;
        // Both sides stay within their bounds.
        REQUIRE(sender_.held() <= kWindow);
        REQUIRE(unconsumed_ <= kWindow);
        REQUIRE(sender_.sent() <= sender_.end());
        REQUIRE(sender_.consumed() <= sender_.sent());
    }

    std::mt19937 random_;
    SendStream sender_;
    ReceiveStream receiver_;
    std::deque<Sent> wire_;
    std::deque<Sent> back_;
    Offset total_ = 0;
    Offset appended_ = 0;
    std::size_t unconsumed_ = 0;
    std::pair<Offset, Offset> gap_;
};

}  // namespace

TEST_CASE("stream: random schedules deliver every byte in order") {
    const bool full = std::getenv("FRSH_TEST_FULL") != nullptr;
    const Offset sizes[] = {
        0,           1,       kInitialWindow - 1, kInitialWindow,     kInitialWindow + 1,
        kWindow - 1, kWindow, kWindow + 1,        6 * kWindow + 12345};
    for (unsigned seed = 1; seed <= (full ? 200U : 3U); ++seed) {
        for (const Offset size : sizes) {
            CAPTURE(seed);
            CAPTURE(size);
            Model(seed).run(size, false, false, false);
            Model(seed).run(size, true, false, false);
            Model(seed).run(size, false, true, false);
            Model(seed).run(size, true, true, false);
        }
    }
}

TEST_CASE("stream: random schedules send nothing after a stop") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Model(seed).run(3 * kWindow, false, false, true);
    }
}

TEST_CASE("stream: the end of an empty stream is sent once") {
    SendStream stream;
    CHECK_FALSE(stream.is_eof_due());
    stream.finish();
    CHECK(stream.is_eof_due());
    stream.eof_sent();
    CHECK_FALSE(stream.is_eof_due());
    CHECK_FALSE(stream.next());
}

TEST_CASE("stream: nothing is sent beyond the credit") {
    SendStream stream;
    stream.append(std::string(kWindow, 'x'));
    CHECK(stream.room() == 0);
    Offset sent = 0;
    while (const auto piece = stream.next())
        sent += piece->bytes.size();
    CHECK(sent == kInitialWindow);
    stream.credit(0, kInitialWindow + 1);
    CHECK(stream.next()->bytes.size() == 1);
    CHECK_FALSE(stream.has_piece());
    stream.credit(10, kInitialWindow + 1);
    CHECK(stream.room() == 10);
}

TEST_CASE("stream: invalid credit is refused, old credit is accepted") {
    SendStream stream;
    stream.append("0123456789");
    CHECK_THROWS_AS(stream.credit(1, 100), ProtocolError);
    (void)stream.next(4);
    CHECK_THROWS_AS(stream.credit(5, 100), ProtocolError);
    CHECK_THROWS_AS(stream.credit(4, 3), ProtocolError);
    stream.credit(4, 100);
    stream.credit(2, 50);
    CHECK(stream.consumed() == 4);
}

TEST_CASE("stream: a new connection starts at the receiver's offset") {
    SendStream stream;
    stream.append("0123456789");
    (void)stream.next(8);
    stream.credit(3, 100);
    CHECK_THROWS_AS(stream.resume(2), ProtocolError);
    CHECK_THROWS_AS(stream.resume(9), ProtocolError);
    stream.resume(5);
    const auto piece = stream.next();
    REQUIRE(piece);
    CHECK(piece->offset == 5);
    CHECK(piece->bytes == "56789");
    stream.resume(5);
    stream.credit(7, 100);  // Credit for bytes that the old connection carried.
    CHECK(stream.next()->offset == 7);
}

TEST_CASE("stream: a new connection repeats the end, accepted once") {
    SendStream stream;
    stream.append("x");
    stream.finish();
    (void)stream.next();
    stream.eof_sent();
    stream.resume(0);
    CHECK_FALSE(stream.is_eof_due());
    CHECK(stream.next()->bytes == "x");
    CHECK(stream.is_eof_due());
    ReceiveStream other;
    other.accept(0, 1, {});
    other.finish(1);
    other.resume();
    other.finish(1);
    CHECK_THROWS_AS(other.finish(1), ProtocolError);
}

TEST_CASE("stream: a new connection repeats a gap and bytes before it") {
    SendStream stream;
    stream.append("head");
    stream.skip_to(100);
    stream.append("tail");
    stream.finish();
    CHECK(stream.end() == 104);
    CHECK(stream.next()->bytes == "head");
    CHECK_FALSE(stream.has_piece());
    REQUIRE(stream.is_gap_due());
    stream.gap_sent();
    CHECK(stream.next()->offset == 100);
    CHECK_THROWS_AS(stream.resume(50), ProtocolError);
    stream.resume(2);
    CHECK(stream.next()->bytes == "ad");
    CHECK(stream.is_gap_due());
    stream.resume(4);
    CHECK(stream.is_gap_due());
    stream.resume(100);
    CHECK_FALSE(stream.is_gap_due());
    CHECK(stream.next()->bytes == "tail");
    stream.credit(98, 1000);  // Counted by a receiver that has not used all of the head.
    stream.resume(104);
    CHECK(stream.is_eof_due());
    stream.credit(102, 1000);
    CHECK_FALSE(stream.has_gap());
    stream.resume(102);
    CHECK(stream.next()->bytes == "il");
}

TEST_CASE("stream: a new connection repeats credit and never lowers it") {
    ReceiveStream stream;
    stream.credit_sent(*stream.due_credit(), {});
    stream.accept(0, 10, {});
    CHECK_FALSE(stream.due_credit());
    stream.resume();
    const auto again = stream.due_credit();
    REQUIRE(again);
    CHECK(again->limit == kWindow);
    stream.credit_sent(*again, {});
    CHECK_FALSE(stream.due_credit());
}

TEST_CASE("stream: a stopped stream has ended and accepts old credit") {
    SendStream stream;
    stream.append("0123456789");
    (void)stream.next(3);
    stream.stop();
    stream.stop();
    CHECK(stream.is_finished());
    CHECK(stream.end() == 3);
    CHECK(stream.room() == 0);
    CHECK_FALSE(stream.has_piece());
    stream.credit(2, 100);
    stream.credit(3, 100);
    CHECK_THROWS_AS(stream.credit(4, 100), ProtocolError);
}

TEST_CASE("stream: data at a wrong offset or after the end is refused") {
    ReceiveStream stream;
    stream.accept(0, 10, {});
    CHECK_THROWS_AS(stream.accept(0, 10, {}), ProtocolError);
    CHECK_THROWS_AS(stream.accept(11, 1, {}), ProtocolError);
    CHECK_THROWS_AS(stream.accept(10, kInitialWindow - 9, {}), ProtocolError);
    stream.accept(10, kInitialWindow - 10, {});
    CHECK_THROWS_AS(stream.accept(kInitialWindow, 1, {}), ProtocolError);
    stream.accept(kInitialWindow, 0, {});
    CHECK_THROWS_AS(stream.finish(kInitialWindow + 1), ProtocolError);
    CHECK_THROWS_AS(stream.skip(0, 5), ProtocolError);
    CHECK_THROWS_AS(stream.skip(kInitialWindow, 5), ProtocolError);
    stream.finish(kInitialWindow);
    CHECK_THROWS_AS(stream.finish(kInitialWindow), ProtocolError);
    CHECK_THROWS_AS(stream.accept(kInitialWindow, 0, {}), ProtocolError);
    CHECK_THROWS_AS(stream.skip(kInitialWindow, kInitialWindow + 1), ProtocolError);
    CHECK_FALSE(stream.due_credit());
}

TEST_CASE("stream: credit is due when half of the window is used") {
    ReceiveStream stream;
    const auto first = stream.due_credit();
    REQUIRE(first);
    CHECK(first->limit == kWindow);
    stream.credit_sent(*first, {});
    stream.accept(0, kWindow, {});
    stream.consume(kWindow / 2 - 1);
    CHECK_FALSE(stream.due_credit());
    stream.consume(1);
    const auto second = stream.due_credit();
    REQUIRE(second);
    CHECK(second->consumed == kWindow / 2);
    CHECK(second->limit == kWindow + kWindow / 2);
}

namespace {

using namespace std::chrono_literals;

// Takes everything that the sender may send, and uses it at once; `round_trip` later the sender has
// the credit for that.
Offset window_after(Offset size, std::chrono::milliseconds round_trip) {
    ReceiveStream stream;
    ReceiveStream::Time now{};
    Offset limit = kInitialWindow;
    while (stream.received() < size) {
        const Offset reached = limit;
        for (Offset at = stream.received(); at < reached; at += 65536) {
            const auto piece = static_cast<std::size_t>(std::min<Offset>(65536, reached - at));
            stream.accept(at, piece, now);
            stream.consume(piece);
            if (const auto credit = stream.due_credit()) {
                stream.credit_sent(*credit, now);
                limit = credit->limit;
            }
        }
        now += round_trip;
    }
    return limit - stream.consumed();
}

}  // namespace

TEST_CASE("stream: the window grows to its maximum if the sender waits") {
    CHECK(window_after(256 * kWindow, 100ms) > frsh::kLargestWindow / 2);
    CHECK(window_after(1024 * kWindow, 100ms) <= frsh::kLargestWindow);
}

TEST_CASE("stream: the window stays if credit arrives in time") {
    CHECK(window_after(256 * kWindow, 1ms) <= kWindow);
}

TEST_CASE("stream: a slow reader does not enlarge the window") {
    ReceiveStream stream;
    ReceiveStream::Time now{};
    Offset limit = kInitialWindow;
    for (int round = 0; round < 20; ++round) {
        while (stream.received() < limit) {
            const auto piece =
                static_cast<std::size_t>(std::min<Offset>(65536, limit - stream.received()));
            stream.accept(stream.received(), piece, now);
        }
        now += 10s;  // The user reads one page, then continues.
        stream.consume(static_cast<std::size_t>(stream.received() - stream.consumed()));
        if (const auto credit = stream.due_credit()) {
            stream.credit_sent(*credit, now);
            limit = credit->limit;
        }
    }
    CHECK(limit - stream.consumed() <= kWindow);
}

TEST_CASE("stream: a sender's room follows the window up to its maximum") {
    SendStream stream;
    stream.credit(0, 4 * kWindow);
    CHECK(stream.room() == 4 * kWindow);
    stream.credit(0, 1024 * kWindow);
    CHECK(stream.room() == frsh::kLargestWindow);
    SendStream terminal(frsh::kTerminalWindow);
    terminal.credit(0, 4 * kWindow);
    CHECK(terminal.room() == frsh::kTerminalWindow);
}
