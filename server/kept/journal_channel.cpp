#include "server/kept/journal_channel.hpp"

#include "common/base/error.hpp"
#include "common/proto/stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// The grace period of a channel that only reads.
constexpr auto kReaderGrace = 30s;

}  // namespace

JournalChannel::JournalChannel(const msg::Attach& attach, std::shared_ptr<KeptJob> kept)
    : channel_(attach.channel),
      id_(kept->id()),
      follows_(attach.follow),
      kept_(std::move(kept)),
      streams_{Outgoing(kept_->path(), StreamId::Stdout),
               Outgoing(kept_->path(), StreamId::Stderr)} {
    begin(attach);
}

JournalChannel::JournalChannel(const msg::Attach& attach, Store::Found run)
    : channel_(attach.channel),
      id_(run.info.run),
      follows_(attach.follow),
      found_(std::move(run)),
      streams_{Outgoing(found_->path, StreamId::Stdout), Outgoing(found_->path, StreamId::Stderr)} {
    begin(attach);
}

void JournalChannel::begin(const msg::Attach& attach) {
    begin(streams_[0], attach.out);
    begin(streams_[1], attach.err);
    if (KeptRun* const run = followed_run()) run->add_follower(*this);
}

JournalChannel::~JournalChannel() {
    if (KeptRun* const run = followed_run()) run->remove_follower(*this);
}

std::optional<Offset> JournalChannel::needed_from(StreamId stream) const {
    const Outgoing& one = streams_[stream == StreamId::Stdout ? 0 : 1];
    if (one.is_stopped || !one.damage.empty()) return std::nullopt;
    // The client reports what it has used with each half of a window only. After everything was
    // sent, nothing may ever make it report the rest, so what was sent counts as used.
    return is_exhausted(one) ? one.sent : std::max(one.begin, one.consumed);
}

void JournalChannel::begin(Outgoing& stream, const std::optional<Offset>& at) {
    if (!at) {
        stream.reader.seek_end();
    } else if (*at > 0) {
        stream.reader.seek(*at);
    }
    stream.begin = stream.consumed = stream.highest = stream.sent = stream.reader.at();
    if (!follows_ && kept_) stream.until = Store::produced(kept_->path(), stream.id);
    stream.limit = stream.begin + kInitialWindow;
}

msg::Attached JournalChannel::attached() const {
    const JournalReader& out = streams_[0].reader;
    const JournalReader& err = streams_[1].reader;
    return {channel_, id_, pid(), {out.at(), out.sum()}, {err.at(), err.sum()}};
}

void JournalChannel::hold(KeptRun& run, const OnDisconnect& wish) {
    run_ = &run;
    run_->set_holder(*this, wish);
    was_holding_ = true;
    is_stop_due_ = false;
    skipped_.end = run_->run().resume_stdin();
    skipped_.credit = kInitialWindow;
}

OnDisconnect JournalChannel::on_disconnect() const {
    if (is_holding()) return run_->wish();
    return {OnDisconnect::Kind::Keep, kReaderGrace};
}

void JournalChannel::abandon(Termination::First first, Time now) {
    state_ = State::Abandoned;
    if (KeptRun* const run = followed_run()) run->remove_follower(*this);
    if (run_ != nullptr) run_->abandon(*this, first, now);
}

void JournalChannel::acknowledge(const msg::EndAck& ack, Time now) {
    ServerChannel::acknowledge(ack, now);
    abandon(Termination::First::HangUp, now);
}

void JournalChannel::on(const msg::Data& data) {
    if (data.stream != StreamId::Stdin) throw ProtocolError("data from a client that is not stdin");
    if (!is_holding()) return;  // `stop` is due, or has been sent.
    stdin_received_ = data.offset + data.bytes.size();
    if (data.offset >= skipped_.end) {
        if (!run_->run().has_stdin_ended()) run_->run().on(data);
        return;
    }
    if (data.offset != skipped_.received) {
        throw ProtocolError("data of stdin that does not follow");
    }
    skipped_.received += data.bytes.size();
    if (skipped_.received <= skipped_.end || run_->run().has_stdin_ended()) return;
    const auto known = static_cast<std::size_t>(skipped_.end - data.offset);
    run_->run().on(msg::Data{channel_, StreamId::Stdin, skipped_.end, 0, data.bytes.substr(known)});
}

void JournalChannel::on(const msg::Eof& eof) {
    if (eof.stream != StreamId::Stdin) throw ProtocolError("the end of a stream that is not stdin");
    if (!is_holding()) return;
    if (std::exchange(skipped_.has_eof, eof.offset < skipped_.end)) return;  // A repetition.
    // The holder before this one has sent the end of stdin.
    if (eof.offset > skipped_.end && run_->run().has_stdin_ended()) return;
    run_->run().on(msg::Eof{channel_, StreamId::Stdin, std::max(eof.offset, skipped_.end)});
}

void JournalChannel::on(const msg::Credit& credit) {
    if (credit.stream == StreamId::Stdin)
        throw ProtocolError("credit for a stream of the client's");
    Outgoing& stream = streams_[credit.stream == StreamId::Stdout ? 0 : 1];
    if (credit.consumed > stream.highest) {
        throw ProtocolError("credit for bytes that were never sent");
    }
    if (credit.limit < credit.consumed) {
        throw ProtocolError("credit with a limit below what is consumed");
    }
    stream.consumed = std::max(stream.consumed, credit.consumed);
    if (credit.limit > stream.limit) {
        stream.limit = credit.limit;
        stream.is_blocked = false;
    }
}

void JournalChannel::on(const msg::Stop& stop) {
    if (stop.stream == StreamId::Stdin) throw ProtocolError("a stop for a stream of the client's");
    streams_[stop.stream == StreamId::Stdout ? 0 : 1].is_stopped = true;
}

void JournalChannel::on(const msg::Signal& signal) {
    if (kept_) kept_->on(signal);
}

void JournalChannel::on(const msg::Cancel& cancel) {
    if (kept_) kept_->on(cancel);
}

std::optional<Offset> JournalChannel::resume(const msg::Resume::Point& point) {
    const std::array<Offset, 2> points = {point.out, point.err};
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (points[i] > streams_[i].highest) {
            throw ProtocolError("a stream cannot go on at " + std::to_string(points[i]));
        }
        if (points[i] < streams_[i].begin) return std::nullopt;
    }
    for (std::size_t i = 0; i < points.size(); ++i)
        go_back(streams_[i], points[i]);
    if (state_ == State::Told) state_ = State::Following;
    is_stop_due_ = !is_holding();
    if (!is_holding()) return stdin_received_;
    if (!skipped_.is_done()) {
        skipped_.credit = 0;
        return skipped_.received;
    }
    return run_->run().resume_stdin();
}

template <typename Act>
void JournalChannel::guard(Outgoing& stream, Act&& act) {
    try {
        act();
    } catch (const JournalDamaged& damage) {
        stream.damage = damage.what();
    } catch (const SysError& error) {
        stream.damage = std::string("the journal cannot be read: ") + error.what();
    }
}

void JournalChannel::go_back(Outgoing& stream, Offset at) {
    stream.exhausted_at = 0;
    stream.is_blocked = stream.is_stopped = stream.is_eof_sent = false;
    stream.sent = at;
    stream.owed.reset();
    std::erase_if(stream.gaps, [at](const auto& gap) { return gap.second > at; });
    guard(stream, [&] { stream.reader.seek(at); });
    // The journal no longer has the bytes at this offset.
    const JournalReader& reader = stream.reader;
    if (reader.at() > at) stream.owed = JournalReader::Gap{at, reader.at(), reader.sum()};
}

bool JournalChannel::is_exhausted(const Outgoing& stream) const {
    return stream.exhausted_at == version() || (stream.until && stream.sent >= *stream.until);
}

bool JournalChannel::may_have_more(const Outgoing& stream) const {
    return !stream.is_stopped && !stream.is_blocked && stream.damage.empty() &&
           !is_exhausted(stream);
}

bool JournalChannel::is_end_due() const {
    const bool is_over = !kept_ || kept_->end() || !follows_;
    return state_ == State::Following && is_over &&
           std::all_of(streams_.begin(), streams_.end(), [this](const Outgoing& stream) {
               return stream.is_stopped || !stream.damage.empty() ||
                      (is_exhausted(stream) && !stream.is_blocked);
           });
}

bool JournalChannel::has_output() const {
    if (state_ != State::Following) return false;
    if (is_stop_due_ || (was_holding_ && !is_holding())) return true;
    if (is_holding() &&
        (skipped_.is_done() ? run_->run().has_stdin_control() : due_skip_credit().has_value())) {
        return true;
    }
    return std::any_of(streams_.begin(), streams_.end(),
                       [this](const Outgoing& stream) { return may_have_more(stream); }) ||
           is_end_due();
}

void JournalChannel::put_control(std::string& out) {
    if (state_ != State::Following) return;
    if (was_holding_ && !is_holding()) {
        was_holding_ = false;
        is_stop_due_ = true;
    }
    if (is_stop_due_) {
        encode(out, msg::Stop{channel_, StreamId::Stdin});
        is_stop_due_ = false;
    }
    if (!is_holding()) return;
    if (skipped_.is_done()) return run_->run().put_stdin_control(out, channel_);
    const auto limit = due_skip_credit();
    if (!limit) return;
    encode(out, msg::Credit{channel_, StreamId::Stdin, skipped_.received, *limit});
    skipped_.credit = *limit;
}

// Beyond the bytes to skip, credit is the command's to give.
std::optional<Offset> JournalChannel::due_skip_credit() const {
    const Offset limit =
        std::max(kInitialWindow, std::min(skipped_.received + kWindow, skipped_.end));
    const bool is_last = limit >= skipped_.end && limit != skipped_.credit;
    if (limit < skipped_.credit + kWindow / 2 && !is_last) return std::nullopt;
    return limit;
}

void JournalChannel::put_gap(std::string& out, Outgoing& stream, Offset from, Offset to,
                             std::uint32_t crc32) {
    stream.gaps[from] = to;
    stream.sent = to;
    stream.highest = std::max(stream.highest, to);
    stream.limit = std::max(stream.limit, to + kInitialWindow);
    encode(out, msg::Gap{channel_, stream.id, from, to, crc32});
}

void JournalChannel::put_next(std::string& out, Outgoing& stream, std::size_t most) {
    if (const auto gap = std::exchange(stream.owed, std::nullopt)) {
        return put_gap(out, stream, gap->from, gap->to, gap->crc32);
    }
    const Offset at = stream.reader.at();
    Offset room = std::min<Offset>(most, stream.limit - std::min(at, stream.limit));
    if (stream.until) room = std::min(room, *stream.until - std::min(at, *stream.until));
    const auto piece = stream.reader.next(static_cast<std::size_t>(room));
    if (!piece) {
        stream.exhausted_at = version();
        if (!stream.reader.is_at_eof() || std::exchange(stream.is_eof_sent, true)) return;
        encode(out, msg::Eof{channel_, stream.id, at});
    } else if (const auto* const data = std::get_if<JournalReader::Data>(&*piece)) {
        stream.is_blocked = data->bytes.empty();
        if (stream.is_blocked) return;
        encode_data(out, {channel_, stream.id, data->offset, data->time_us, data->bytes});
        stream.sent = data->offset + data->bytes.size();
        stream.highest = std::max(stream.highest, stream.sent);
    } else if (const auto* const gap = std::get_if<JournalReader::Gap>(&*piece)) {
        put_gap(out, stream, gap->from, gap->to, gap->crc32);
    } else if (!std::exchange(stream.is_eof_sent, true)) {
        encode(out, msg::Eof{channel_, stream.id, at});
    }
}

void JournalChannel::put_chunk(std::string& out, std::size_t most) {
    if (state_ != State::Following) return;
    // The streams take turns, so that a flood on one never holds up the other.
    for (std::size_t turn = 0; turn < streams_.size(); ++turn) {
        Outgoing& stream = streams_[next_++ % streams_.size()];
        const std::size_t before = out.size();
        guard(stream, [&] {
            while (may_have_more(stream) && out.size() == before)
                put_next(out, stream, most);
        });
        if (out.size() > before) return;
    }
    if (is_end_due()) put_end(out);
}

void JournalChannel::put_missing_tail(std::string& out, Outgoing& stream,
                                      const StreamSummary& summary, bool is_excused) {
    // A gap at the end may have been sent to this client before.
    const Offset at = std::max(stream.reader.at(), stream.sent);
    if (stream.is_stopped || !stream.damage.empty()) return;
    if (at > summary.bytes || (at < summary.bytes && !is_excused)) {
        stream.damage = std::string("the journal of ") + std::string(name_of(stream.id)) + " has " +
                        std::to_string(at) + " of " + std::to_string(summary.bytes) + " bytes";
        return;
    }
    if (at < summary.bytes) put_gap(out, stream, at, summary.bytes, summary.crc32);
    if (summary.eof && !std::exchange(stream.is_eof_sent, true)) {
        encode(out, msg::Eof{channel_, stream.id, summary.bytes});
    }
}

void JournalChannel::add_gaps(const Outgoing& stream, StreamSummary& summary) {
    summary.gap_at.reset();
    summary.delivered.reset();
    if (stream.gaps.empty()) return;
    summary.gap_at = stream.gaps.begin()->first;
    Offset left_out = 0;
    for (const auto& [from, to] : stream.gaps)
        left_out += to - from;
    summary.delivered = summary.bytes - std::min(summary.bytes, left_out);
}

Offset JournalChannel::missing_from(const Outgoing& stream, const StreamSummary& summary) {
    const Offset own_begin = summary.gap_at.value_or(0);
    const Offset own_end = own_begin + summary.bytes - summary.delivered.value_or(summary.bytes);
    Offset missing = 0;
    for (const auto& [from, to] : stream.gaps) {
        const Offset excused_from = std::clamp(own_begin, from, to);
        missing += to - from - (std::clamp(own_end, excused_from, to) - excused_from);
    }
    return missing;
}

void JournalChannel::put_end(std::string& out) {
    msg::End record = end();
    const bool is_known = kept_ ? kept_->end().has_value() : found_->end.has_value();
    for (const auto& [stream, summary] :
         {std::pair(&streams_[0], &record.out), {&streams_[1], &record.err}}) {
        if (is_known) put_missing_tail(out, *stream, *summary, record.journal.has_value());
        const Offset missing = missing_from(*stream, *summary);
        if (missing > 0 && !record.journal) {
            record.journal = std::string(name_of(stream->id)) + ": " + std::to_string(missing) +
                             " bytes are no longer in the journal";
        }
        add_gaps(*stream, *summary);
        if (stream->damage.empty()) continue;
        record.outcome = Lost{stream->damage};
        record.journal = stream->damage;
        *summary = {stream->reader.at(), stream->reader.sum(), false, summary->delivered,
                    summary->gap_at};
    }
    encode(out, record);
    state_ = State::Told;
}

msg::End JournalChannel::end() const {
    msg::End record;
    if (kept_ && kept_->end()) {
        record = *kept_->end();
    } else if (found_ && found_->end) {
        record = *found_->end;
    } else {
        record.run = id_;
        record.outcome = kept_ ? Outcome(Running{}) : Outcome(Lost{found_->why_lost});
        // How long the output was is not known.
        if (found_ && found_->is_damaged()) record.journal = found_->why_lost;
        for (const auto& [summary, stream] :
             {std::pair(&record.out, &streams_[0]), {&record.err, &streams_[1]}}) {
            *summary = {stream->reader.at(), stream->reader.sum(), stream->reader.is_at_eof(),
                        std::nullopt, std::nullopt};
        }
    }
    record.channel = channel_;
    return record;
}

}  // namespace frsh
