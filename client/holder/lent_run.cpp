#include "client/holder/lent_run.hpp"

#include "common/base/error.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>
#include <variant>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// From the borrower's signal to the cancelling of the run.
constexpr auto kTimeToCleanUp = 2s;

}  // namespace

void LentRun::Output::write(std::string_view bytes) {
    appended_ += bytes.size();
    if (!is_dropped_ && !is_stopped()) stream_.append(bytes);
}

void LentRun::Output::skip(Offset to, std::uint32_t crc32) {
    if (is_dropped_ || is_stopped()) return;
    gap_ = Gap{stream_.end(), to, crc32};
    stream_.skip_to(to);
}

// Bytes count as used once they are sent. If they counted once the borrower has used them, two
// windows in a row would wait for each other: each end may grow its own, and reports half of it.
Offset LentRun::Output::take_used() {
    const Offset used = is_dropped_ || is_stopped() ? appended_ : sent_;
    return used - std::exchange(taken_, used);
}

void LentRun::Output::stop() {
    failure_ = EPIPE;
    stream_.stop();
}

bool LentRun::Output::has_output() const {
    return !is_stopped() && (stream_.has_piece() || stream_.is_gap_due() || stream_.is_eof_due());
}

bool LentRun::Output::is_sent() const {
    return is_stopped() || (stream_.sent() == stream_.end() && !stream_.is_eof_due());
}

bool LentRun::Output::put(std::string& out, Channel channel, std::size_t most) {
    if (is_stopped()) return false;
    if (const auto piece = stream_.next(most)) {
        sent_ += piece->bytes.size();
        encode_data(out, {channel, id_, piece->offset, 0, piece->bytes});
    } else if (stream_.is_gap_due()) {
        encode(out, msg::Gap{channel, id_, gap_->from, gap_->to, gap_->crc32});
        stream_.gap_sent();
        gap_.reset();
    } else if (stream_.is_eof_due()) {
        encode(out, msg::Eof{channel, id_, stream_.end()});
        stream_.eof_sent();
    } else {
        return false;
    }
    return true;
}

LentRun::LentRun(Link& borrower, ServerConnection& server, msg::Open open)
    : borrower_(borrower),
      server_(server),
      channel_(open.channel),
      out_(StreamId::Stdout, open.pty ? kTerminalWindow : kWindow),
      err_(StreamId::Stderr, kWindow),
      run_(server.open(std::move(open), out_, err_)) {
    run_.on_start([this] {
        if (state_ == State::Running) {
            borrower_.send(msg::Started{channel_, run_.id(), run_.pid()});
        }
    });
    borrower_.add(*this);
}

LentRun::~LentRun() {
    if (state_ == State::Running || state_ == State::Told) borrower_.remove(*this);
    server_.forget(run_);
}

LentRun::Output& LentRun::output(StreamId stream) {
    if (stream == StreamId::Stdin) throw ProtocolError("stdin from the wrong end");
    return stream == StreamId::Stdout ? out_ : err_;
}

void LentRun::on_message(const Message& message) {
    if (const auto* const data = std::get_if<msg::Data>(&message)) {
        if (data->stream != StreamId::Stdin) throw ProtocolError("output from a client");
        in_.accept(data->offset, data->bytes.size(), EventLoop::Clock::now());
        run_.append_stdin(data->bytes);
    } else if (const auto* const eof = std::get_if<msg::Eof>(&message)) {
        if (eof->stream != StreamId::Stdin) throw ProtocolError("an end of output from a client");
        in_.finish(eof->offset);
        run_.finish_stdin();
    } else if (const auto* const credit = std::get_if<msg::Credit>(&message)) {
        output(credit->stream).credit(*credit);
    } else if (const auto* const stop = std::get_if<msg::Stop>(&message)) {
        output(stop->stream).stop();
    } else if (const auto* const signal = std::get_if<msg::Signal>(&message)) {
        run_.signal(signal->name);
    } else if (std::holds_alternative<msg::Cancel>(message)) {
        run_.cancel();
    } else if (const auto* const resize = std::get_if<msg::Resize>(&message)) {
        run_.resize(resize->size);
    } else if (const auto* const ack = std::get_if<msg::EndAck>(&message)) {
        if (state_ != State::Told) throw ProtocolError("an end_ack before the end");
        if (ack->run != run_.id()) throw ProtocolError("an end_ack for another run");
        borrower_.remove(*this);
        state_ = State::Over;
    } else {
        throw ProtocolError("a message that only servers send");
    }
}

void LentRun::abandon(const std::string& signal, EventLoop::Time now) {
    if (state_ != State::Running && state_ != State::Told) return;
    borrower_.remove(*this);
    out_.drop();
    err_.drop();
    state_ = State::Abandoned;
    if (run_.is_finished()) return;
    run_.signal(signal);
    cancel_at_ = now + kTimeToCleanUp;
}

void LentRun::tick(EventLoop::Time now) {
    if (state_ != State::Abandoned || run_.is_finished() || now < cancel_at_) return;
    run_.cancel();
    cancel_at_ = EventLoop::kNever;
}

EventLoop::Time LentRun::next_deadline() const {
    return is_over() || run_.is_finished() ? EventLoop::kNever : cancel_at_;
}

Offset LentRun::take_passed() {
    const Offset passed = in_.received() + out_.sent() + err_.sent();
    return passed - std::exchange(passed_, passed);
}

bool LentRun::is_over() const {
    return state_ == State::Over || (state_ == State::Abandoned && run_.is_finished());
}

bool LentRun::is_end_due() const {
    return state_ == State::Running && run_.is_finished() && out_.is_sent() && err_.is_sent();
}

bool LentRun::has_output() const {
    if (state_ != State::Running) return false;
    if (run_.is_stdin_unwanted() && !is_stop_sent_) return true;
    if (run_.stdin_sent() > in_.consumed() || in_.due_credit()) return true;
    return out_.has_output() || err_.has_output() || is_end_due() ||
           (run_.is_finished() && !are_streams_finished_);
}

void LentRun::put_control(std::string& out) {
    if (state_ != State::Running) return;
    if (run_.is_stdin_unwanted() && !std::exchange(is_stop_sent_, true)) {
        encode(out, msg::Stop{channel_, StreamId::Stdin});
    }
    const Offset sent = run_.stdin_sent();
    if (sent > in_.consumed()) in_.consume(static_cast<std::size_t>(sent - in_.consumed()));
    if (const auto credit = in_.due_credit()) {
        encode(out, msg::Credit{channel_, StreamId::Stdin, credit->consumed, credit->limit});
        in_.credit_sent(*credit, EventLoop::Clock::now());
    }
}

void LentRun::put_chunk(std::string& out, std::size_t most) {
    if (state_ != State::Running) return;
    if (run_.is_finished() && !std::exchange(are_streams_finished_, true)) {
        if (run_.end() && run_.end()->out.eof) out_.finish();
        if (run_.end() && run_.end()->err.eof) err_.finish();
    }
    if (out_.put(out, channel_, most) || err_.put(out, channel_, most)) return;
    if (is_end_due()) put_end(out);
}

// The borrower gets the server's record if there is one. RemoteRun's outcome differs from it if
// bytes are missing here.
void LentRun::put_end(std::string& out) {
    state_ = State::Told;
    if (run_.refusal()) return encode(out, msg::Refused{channel_, "refused", *run_.refusal()});
    msg::End end;
    if (run_.end()) {
        end = *run_.end();
    } else {
        end.run = run_.id();
        end.out = run_.received(StreamId::Stdout);
        end.err = run_.received(StreamId::Stderr);
    }
    end.channel = channel_;
    end.outcome = run_.outcome();
    encode(out, end);
}

}  // namespace frsh
