#include "server/kept/journal_channel.hpp"

#include "common/base/error.hpp"

#include <algorithm>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// How long the place of a client is held who only looks on.
constexpr auto kGrace = 30s;

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
}

void JournalChannel::begin(Outgoing& stream, const std::optional<Offset>& at) {
    if (!at) {
        stream.reader.seek_end();
    } else if (*at > 0) {
        stream.reader.seek(*at);
    }
    stream.begin = stream.highest = stream.said = stream.reader.at();
    if (!follows_ && kept_) stream.until = Store::produced(kept_->path(), stream.id);
    stream.limit = stream.begin + kInitialWindow;
}

msg::Attached JournalChannel::attached() const {
    const JournalReader& out = streams_[0].reader;
    const JournalReader& err = streams_[1].reader;
    return {channel_, id_, pid(), {out.at(), out.sum()}, {err.at(), err.sum()}};
}

void JournalChannel::hold(std::shared_ptr<KeptRun> run, const OnDisconnect& wish) {
    run_ = std::move(run);
    run_->set_holder(*this, wish);
    was_holding_ = true;
    is_stop_due_ = false;
    pass_over_ = run_->run().resume_stdin();
    pass_credit_ = kInitialWindow;
}

OnDisconnect JournalChannel::wish() const {
    if (is_holding()) return run_->wish();
    return {OnDisconnect::Kind::Keep, kGrace};
}

void JournalChannel::abandon(Termination::First first, Time now) {
    if (run_) run_->abandon(*this, first, now);
}

void JournalChannel::on(const msg::Data& data) {
    if (data.stream != StreamId::Stdin) throw ProtocolError("data from a client that is not stdin");
    if (!is_holding()) return;  // Told to stop, or about to be.
    taken_ = data.offset + data.bytes.size();
    if (data.offset >= pass_over_) {
        if (!run_->run().has_stdin_ended()) run_->run().on(data);
        return;
    }
    if (data.offset != passed_) throw ProtocolError("data of stdin that does not follow");
    passed_ += data.bytes.size();
    if (passed_ <= pass_over_ || run_->run().has_stdin_ended()) return;
    const auto known = static_cast<std::size_t>(pass_over_ - data.offset);
    run_->run().on(msg::Data{channel_, StreamId::Stdin, pass_over_, 0, data.bytes.substr(known)});
}

void JournalChannel::on(const msg::Eof& eof) {
    if (eof.stream != StreamId::Stdin) throw ProtocolError("the end of a stream that is not stdin");
    if (!is_holding()) return;
    if (std::exchange(is_cut_short_, eof.offset < pass_over_)) return;  // Said again.
    // The command has been given more by somebody else, or its end.
    if (eof.offset > pass_over_ && run_->run().has_stdin_ended()) return;
    run_->run().on(msg::Eof{channel_, StreamId::Stdin, std::max(eof.offset, pass_over_)});
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
    is_told_ = false;
    is_stop_due_ = !is_holding();
    if (!is_holding()) return taken_;
    // Somewhere in what is said again.
    if (passed_ < pass_over_) {
        pass_credit_ = 0;
        return passed_;
    }
    return run_->run().resume_stdin();
}

// What the journal does not give is told in the end.
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
    stream.said = at;
    stream.owed.reset();
    std::erase_if(stream.gaps, [at](const auto& gap) { return gap.second > at; });
    guard(stream, [&] { stream.reader.seek(at); });
    // What it still lacks is not kept any more.
    const JournalReader& reader = stream.reader;
    if (reader.at() > at) stream.owed = JournalReader::Gap{at, reader.at(), reader.sum()};
}

bool JournalChannel::is_exhausted(const Outgoing& stream) const {
    return stream.exhausted_at == version() || (stream.until && stream.said >= *stream.until);
}

bool JournalChannel::may_have_more(const Outgoing& stream) const {
    return !stream.is_stopped && !stream.is_blocked && stream.damage.empty() &&
           !is_exhausted(stream);
}

bool JournalChannel::is_end_due() const {
    const bool is_over = !kept_ || kept_->end() || !follows_;
    return !is_told_ && is_over &&
           std::all_of(streams_.begin(), streams_.end(), [this](const Outgoing& stream) {
               return stream.is_stopped || !stream.damage.empty() ||
                      (is_exhausted(stream) && !stream.is_blocked);
           });
}

bool JournalChannel::has_output() const {
    if (is_told_) return false;
    if (is_stop_due_ || (was_holding_ && !is_holding())) return true;
    if (is_holding() &&
        (passed_ < pass_over_ ? due_pass_credit().has_value() : run_->run().has_stdin_control())) {
        return true;
    }
    return std::any_of(streams_.begin(), streams_.end(),
                       [this](const Outgoing& stream) { return may_have_more(stream); }) ||
           is_end_due();
}

void JournalChannel::put_control(std::string& out) {
    if (is_told_) return;
    if (was_holding_ && !is_holding()) {
        was_holding_ = false;
        is_stop_due_ = true;
    }
    if (is_stop_due_) {
        encode(out, msg::Stop{channel_, StreamId::Stdin});
        is_stop_due_ = false;
    }
    if (!is_holding()) return;
    if (passed_ >= pass_over_) return run_->run().put_stdin_control(out, channel_);
    const auto limit = due_pass_credit();
    if (!limit) return;
    encode(out, msg::Credit{channel_, StreamId::Stdin, passed_, *limit});
    pass_credit_ = *limit;
}

// No further than what is passed over: beyond that it is the command's to say.
std::optional<Offset> JournalChannel::due_pass_credit() const {
    const Offset limit = std::max(kInitialWindow, std::min(passed_ + kWindow, pass_over_));
    const bool is_last = limit >= pass_over_ && limit != pass_credit_;
    if (limit < pass_credit_ + kWindow / 2 && !is_last) return std::nullopt;
    return limit;
}

void JournalChannel::put_gap(std::string& out, Outgoing& stream, Offset from, Offset to,
                             std::uint32_t crc32) {
    stream.gaps[from] = to;
    stream.said = to;
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
        stream.said = data->offset + data->bytes.size();
        stream.highest = std::max(stream.highest, stream.said);
    } else if (const auto* const gap = std::get_if<JournalReader::Gap>(&*piece)) {
        put_gap(out, stream, gap->from, gap->to, gap->crc32);
    } else if (!std::exchange(stream.is_eof_sent, true)) {
        encode(out, msg::Eof{channel_, stream.id, at});
    }
}

void JournalChannel::put_chunk(std::string& out, std::size_t most) {
    if (is_told_) return;
    // In turn, so that a flood on one never holds up the other.
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

void JournalChannel::put_missing_tail(std::string& out, Outgoing& stream, const StreamSummary& told,
                                      bool is_excused) {
    // A hole at the end may have been told to this client before.
    const Offset at = std::max(stream.reader.at(), stream.said);
    if (stream.is_stopped || !stream.damage.empty()) return;
    if (at > told.bytes || (at < told.bytes && !is_excused)) {
        stream.damage = std::string("the journal of ") + std::string(name_of(stream.id)) + " has " +
                        std::to_string(at) + " of " + std::to_string(told.bytes) + " bytes";
        return;
    }
    if (at < told.bytes) put_gap(out, stream, at, told.bytes, told.crc32);
    if (told.eof && !std::exchange(stream.is_eof_sent, true)) {
        encode(out, msg::Eof{channel_, stream.id, told.bytes});
    }
}

void JournalChannel::tell_gaps(const Outgoing& stream, StreamSummary& told) {
    told.gap_at.reset();
    told.delivered.reset();
    if (stream.gaps.empty()) return;
    told.gap_at = stream.gaps.begin()->first;
    Offset left_out = 0;
    for (const auto& [from, to] : stream.gaps)
        left_out += to - from;
    told.delivered = told.bytes - std::min(told.bytes, left_out);
}

void JournalChannel::put_end(std::string& out) {
    msg::End record = end();
    const bool is_known = kept_ ? kept_->end().has_value() : found_->end.has_value();
    for (const auto& [stream, told] :
         {std::pair(&streams_[0], &record.out), {&streams_[1], &record.err}}) {
        if (is_known) put_missing_tail(out, *stream, *told, record.journal.has_value());
        tell_gaps(*stream, *told);
        if (stream->damage.empty()) continue;
        record.outcome = Lost{stream->damage};
        *told = {stream->reader.at(), stream->reader.sum(), false, told->delivered, told->gap_at};
    }
    encode(out, record);
    is_told_ = true;
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
        for (const auto& [told, stream] :
             {std::pair(&record.out, &streams_[0]), {&record.err, &streams_[1]}}) {
            *told = {stream->reader.at(), stream->reader.sum(), stream->reader.is_at_eof(),
                     std::nullopt, std::nullopt};
        }
    }
    record.channel = channel_;
    return record;
}

}  // namespace frsh
