#include "server/run/output_reader.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>

namespace frsh {
namespace {

// A pipe holds 64 KiB by default (pipe(7)). The kernel limits a user's memory in larger pipes, so a
// larger one is requested only after a command has filled the buffer several times. A refusal is
// harmless.
constexpr int kLargePipe = 256 * 1024;
constexpr int kFullReadsUntilLarge = 8;
// Reads in one turn of the event loop, so that one flood does not hold up other streams.
constexpr int kReadsATurn = 4;

// More than the kernel holds of what was printed on a terminal.
constexpr Offset kMostInTerminal = 1024 * 1024;

std::uint64_t microseconds_since(EventLoop::Time start) {
    const auto since = EventLoop::Clock::now() - start;
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

}  // namespace

OutputReader::OutputReader(EventLoop& loop, StreamId id, Fd pipe, std::optional<std::uint64_t> cap,
                           std::function<void()> on_change, Offset window)
    : OutputReader(loop, id, std::move(pipe), cap, std::move(on_change), SendStream(window),
                   Source::Pipe) {}

OutputReader::OutputReader(EventLoop& loop, StreamId id, Fd socket, std::function<void()> on_change,
                           WindowBudget& budget)
    : OutputReader(loop, id, std::move(socket), std::nullopt, std::move(on_change),
                   SendStream(budget), Source::Socket) {}

OutputReader::OutputReader(EventLoop& loop, StreamId id, Fd pipe, std::optional<std::uint64_t> cap,
                           std::function<void()> on_change, SendStream stream, Source source)
    : id_(id),
      pipe_(std::move(pipe)),
      source_(source),
      on_change_(std::move(on_change)),
      stream_(std::move(stream)),
      last_activity_(EventLoop::Clock::now()) {
    if (!pipe_.is_open()) {
        eof_ = true;
        stream_.finish();
        return;
    }
    set_nonblocking(pipe_.get());
    if (cap) {
        cap_.head = *cap - *cap / 2;
        cap_.tail_size = *cap / 2;
    }
    watch_ = loop.watch(
        std::string(name_of(id)) + ": bytes from the command", pipe_.get(),
        [this]() -> short { return may_read() ? POLLIN : short{0}; },
        [this](short) { on_readable(); });
}

bool OutputReader::may_read() const {
    // Bytes past the head do not wait for the peer: they are held back or dropped.
    const bool past_head = cap_.head && produced_ >= *cap_.head;
    return pipe_.is_open() && (is_discarding_ || stream_.room() > 0 || past_head);
}

void OutputReader::on_readable() {
    drain();
    on_change_();
}

IoResult OutputReader::read(char* to, std::size_t size) {
    if (source_ == Source::Pipe) return read_some(pipe_.get(), to, size);
    const ssize_t got = ::recv(pipe_.get(), to, size, 0);
    if (got > 0) return {IoResult::Status::Done, static_cast<std::size_t>(got)};
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) return {IoResult::Status::WouldBlock};
    was_cut_ = got == -1;
    return {IoResult::Status::EndOfFile};
}

void OutputReader::begin_with(std::string_view bytes) {
    stream_.append(bytes);
    sum_.update(bytes);
    produced_ += bytes.size();
}

void OutputReader::finish_when_empty() {
    last_ = produced_ + kMostInTerminal;
    drain();
}

void OutputReader::drain() {
    for (int reads = 0; reads < kReadsATurn && may_read(); ++reads) {
        IoResult result;
        std::size_t size = 0;
        if (is_discarding_) {
            char dropped[ByteQueue::kBlockSize];
            size = sizeof dropped;
            result = read(dropped, size);
            sum_.update({dropped, result.bytes});
            produced_ += result.bytes;
        } else if (cap_.head) {
            char buffer[ByteQueue::kBlockSize];
            size = sizeof buffer;
            if (produced_ < *cap_.head) size = std::min(size, stream_.room());
            result = read(buffer, size);
            take({buffer, result.bytes});
        } else {
            char* const place = stream_.place(size);
            result = read(place, size);
            stream_.commit(result.bytes);
            sum_.update({place, result.bytes});
            produced_ += result.bytes;
        }
        if (result.status == IoResult::Status::EndOfFile) {
            finish(!was_cut_);
            return;
        }
        const bool is_empty = result.status == IoResult::Status::WouldBlock;
        if (last_ && (is_empty || produced_ >= *last_)) finish(true);
        if (is_empty) return;
        last_activity_ = EventLoop::Clock::now();
        if (result.bytes == size && !is_large_ && ++full_reads_ == kFullReadsUntilLarge) {
            (void)::fcntl(pipe_.get(), F_SETPIPE_SZ, kLargePipe);
            is_large_ = true;
        }
    }
}

void OutputReader::take(std::string_view bytes) {
    sum_.update(bytes);
    if (produced_ < *cap_.head) {
        const auto size = std::min<Offset>(*cap_.head - produced_, bytes.size());
        const std::string_view head = bytes.substr(0, static_cast<std::size_t>(size));
        stream_.append(head);
        cap_.tail_sum.update(head);
        produced_ += size;
        bytes.remove_prefix(head.size());
    }
    produced_ += bytes.size();
    cap_.tail += bytes;
    if (cap_.tail.size() >= 2 * cap_.tail_size + ByteQueue::kBlockSize) trim_tail();
}

void OutputReader::trim_tail() {
    if (cap_.tail.size() <= cap_.tail_size) return;
    const auto surplus = static_cast<std::size_t>(cap_.tail.size() - cap_.tail_size);
    cap_.tail_sum.update(std::string_view(cap_.tail).substr(0, surplus));
    cap_.tail.erase(0, surplus);
    cap_.dropped += surplus;
}

Fd OutputReader::finish(bool saw_end) {
    if (!pipe_.is_open()) return {};
    watch_.reset();
    Fd pipe = std::move(pipe_);
    eof_ = saw_end;
    if (cap_.head) {
        trim_tail();
        if (cap_.dropped > 0) {
            cap_.gap_at = stream_.end();
            cap_.gap = msg::Gap{0, id_, stream_.end(), produced_ - cap_.tail.size(),
                                cap_.tail_sum.value()};
            stream_.skip_to(cap_.gap.to);
        }
        stream_.append(cap_.tail);
        cap_.tail = {};
    }
    stream_.finish();
    return pipe;
}

Fd OutputReader::close() {
    return finish(false);
}

void OutputReader::stop() {
    finish(false);
    stream_.stop();
}

void OutputReader::discard() {
    cap_.head.reset();
    stream_.stop();
    is_discarding_ = true;
}

void OutputReader::credit(Offset consumed, Offset limit) {
    // Until now the command waited for the peer, so its idle time begins here.
    if (is_blocked()) last_activity_ = EventLoop::Clock::now();
    stream_.credit(consumed, limit);
}

bool OutputReader::is_delivered() const {
    if (pipe_.is_open()) return false;
    if (stream_.is_stopped()) return true;
    return stream_.sent() == stream_.end() && (!eof_ || stream_.is_eof_sent());
}

bool OutputReader::has_output() const {
    if (stream_.has_piece() || stream_.is_gap_due()) return true;
    return eof_ && !stream_.is_stopped() && stream_.is_eof_due();
}

void OutputReader::put_chunk(std::string& out, Channel channel, std::size_t most, Time run_start) {
    if (const auto piece = stream_.next(most)) {
        encode_data(out,
                    {channel, id_, piece->offset, microseconds_since(run_start), piece->bytes});
    } else if (stream_.is_gap_due()) {
        cap_.gap.channel = channel;
        encode(out, cap_.gap);
        stream_.gap_sent();
    } else if (eof_ && stream_.is_eof_due()) {
        encode(out, msg::Eof{channel, id_, stream_.end()});
        stream_.eof_sent();
    }
}

bool OutputReader::write_down(OutputConsumer& consumer, Time run_start) {
    bool any = false;
    const auto used = [&] {
        credit(stream_.sent(), stream_.sent() + kWindow);
        any = true;
    };
    while (const std::size_t room = std::min(consumer.room(), kMaxData)) {
        const auto piece = stream_.next(room);
        if (!piece) break;
        consumer.data(piece->offset, microseconds_since(run_start), piece->bytes);
        used();
    }
    if (stream_.is_gap_due()) {
        consumer.gap(cap_.gap);
        stream_.gap_sent();
        used();
        return write_down(consumer, run_start) || any;
    }
    if (eof_ && !stream_.is_stopped() && stream_.is_eof_due()) {
        consumer.eof(stream_.end());
        stream_.eof_sent();
        any = true;
    }
    return any;
}

StreamSummary OutputReader::summary() const {
    StreamSummary summary{produced_, sum_.value(), eof_, std::nullopt, std::nullopt};
    if (cap_.gap_at) {
        summary.gap_at = cap_.gap_at;
        summary.delivered = produced_ - cap_.dropped;
    }
    return summary;
}

}  // namespace frsh
