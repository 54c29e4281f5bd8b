#include "common/proto/stream.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <string>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// Longer than a round trip within one machine, so that the windows of local runs rarely grow.
constexpr auto kPause = 5ms;

}  // namespace

std::size_t SendStream::room() const {
    if (stopped_ || waiting_.size() >= window_) return 0;
    return static_cast<std::size_t>(window_) - waiting_.size();
}

void SendStream::append(std::string_view bytes) {
    if (stopped_) return;
    must(!finished_, "nothing follows the end of a stream");
    waiting_.append(bytes);
}

char* SendStream::place(std::size_t& size) {
    char* const place = waiting_.room(size);
    size = std::min(size, room());
    return place;
}

void SendStream::commit(std::size_t size) {
    waiting_.commit(size);
}

void SendStream::stop() {
    if (stopped_) return;
    stopped_ = finished_ = true;
    // Also forget bytes that were sent and not consumed: a receiver that wants no more of this
    // stream will not ask for them again.
    begin_ = sent_;
    waiting_.clear();
    gap_.reset();
}

void SendStream::skip_to(Offset to) {
    must(!finished_ && !gap_ && to >= end(), "one gap at a time, and a gap has a size");
    gap_ = Gap{end(), to};
}

void SendStream::gap_sent() {
    sent_ = gap_->end;
    highest_ = std::max(highest_, sent_);
    limit_ = std::max(limit_, sent_ + kInitialWindow);
}

Offset SendStream::reach() const {
    return gap_ && sent_ <= gap_->begin ? gap_->begin : end();
}

bool SendStream::has_piece() const {
    return sent_ < std::min(reach(), limit_);
}

std::optional<SendStream::Piece> SendStream::next(std::size_t most) {
    if (!has_piece()) return std::nullopt;
    const bool is_behind = gap_ && sent_ >= gap_->end;
    const Offset at = sent_ - begin_ - (is_behind ? gap_size() : 0);
    std::string_view bytes = waiting_.piece(static_cast<std::size_t>(at));
    const auto allowed = std::min<Offset>({std::min(reach(), limit_) - sent_, most, bytes.size()});
    bytes = bytes.substr(0, static_cast<std::size_t>(allowed));
    const Piece piece{sent_, bytes};
    sent_ += bytes.size();
    highest_ = std::max(highest_, sent_);
    return piece;
}

void SendStream::credit(Offset consumed, Offset limit) {
    if (consumed > highest_) throw ProtocolError("credit for bytes that were never sent");
    if (limit < consumed) throw ProtocolError("credit with a limit below what is consumed");
    limit_ = std::max(limit_, limit);
    // The window of a terminal does not grow.
    const Offset wanted = std::min(limit - consumed, kLargestWindow);
    const bool may_grow = share_.is_bound() || window_ >= kWindow;
    if (may_grow && wanted > window_ && (!share_.is_bound() || share_.grow_to(wanted))) {
        window_ = wanted;
    }
    if (gap_ && consumed > gap_->begin) {
        if (consumed < gap_->end) {
            consumed = gap_->begin;  // The receiver counts a gap as consumed on arrival.
        } else {
            waiting_.drop(static_cast<std::size_t>(gap_->begin - begin_));
            begin_ = gap_->end;
            gap_.reset();
        }
    }
    if (consumed > begin_) {  // Otherwise it is an old credit.
        waiting_.drop(static_cast<std::size_t>(consumed - begin_));
        begin_ = consumed;
    }
    sent_ = std::max(sent_, begin_);
}

void SendStream::resume(Offset at) {
    const bool is_in_gap = gap_ && at > gap_->begin && at < gap_->end;
    if (at > highest_ || is_in_gap || (at < begin_ && !stopped_)) {
        throw ProtocolError("a stream cannot go on at " + std::to_string(at));
    }
    sent_ = at;
    if (stopped_) begin_ = at;
    eof_sent_ = false;
}

ReceiveStream::ReceiveStream(WindowBudget& budget)
    : window_(kForwardFirstWindow), limit_(window_), share_(budget, window_) {
    grow_to(kForwardWindow);
    is_credit_due_ = window_ > limit_;
}

void ReceiveStream::grow_to(Offset window) {
    if (!share_.is_bound() || share_.grow_to(window)) window_ = window;
}

void ReceiveStream::accept(Offset offset, std::size_t size, Time now) {
    if (finished_) throw ProtocolError("data after the end of its stream");
    if (offset != received_) {
        throw ProtocolError("data at offset " + std::to_string(offset) + ", expected " +
                            std::to_string(received_));
    }
    if (size > limit_ - received_) throw ProtocolError("data beyond the credit given");
    grow_if_starved(now);
    received_ += size;
    waiting_since_ = now;
}

// The sender stopped exactly at a limit that it was sent, and this end waited for more.
void ReceiveStream::grow_if_starved(Time now) {
    const auto reached = std::find(told_.begin(), told_.end(), received_);
    const bool is_small = share_.is_bound() && window_ < kWindow;
    const bool has_paused = is_small || now - waiting_since_ > kPause;
    if (reached != told_.end() && consumed_ == received_ && has_paused) {
        grow_to(std::min(2 * window_, kLargestWindow));
    }
    std::erase_if(told_, [this](Offset limit) { return limit <= received_; });
}

void ReceiveStream::skip(Offset offset, Offset to) {
    if (finished_) throw ProtocolError("a gap after the end of its stream");
    if (offset != received_ || to < offset) throw ProtocolError("a gap at the wrong place");
    // The skipped bytes count as consumed.
    consumed_ += to - offset;
    received_ = to;
    // Both sides raise the limit without a message, so that a small client never sends credit.
    limit_ = std::max(limit_, to + kInitialWindow);
}

void ReceiveStream::finish(Offset offset) {
    if (may_end_again_ && offset == received_) {
        may_end_again_ = false;
        return;
    }
    if (finished_) throw ProtocolError("a stream that ended twice");
    if (offset != received_) {
        throw ProtocolError("the end of a stream at offset " + std::to_string(offset) +
                            ", expected " + std::to_string(received_));
    }
    finished_ = true;
}

std::optional<ReceiveStream::Credit> ReceiveStream::due_credit() const {
    if (finished_) return std::nullopt;
    const Offset wanted = consumed_ + window_;
    if (is_credit_due_) return Credit{consumed_, std::max(wanted, limit_)};
    if (wanted < limit_ + window_ / 2) return std::nullopt;
    return Credit{consumed_, wanted};
}

void ReceiveStream::credit_sent(const Credit& credit, Time now) {
    if (share_.is_bound() || window_ >= kWindow) told_.push_back(limit_);
    limit_ = credit.limit;
    waiting_since_ = now;
    is_credit_due_ = false;
}

void ReceiveStream::resume() {
    told_.clear();
    is_credit_due_ = true;
    may_end_again_ = finished_;
}

}  // namespace frsh
