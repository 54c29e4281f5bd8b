#include "client/remote_run.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <array>

#include <sys/random.h>

namespace frsh {

std::string new_run_id() {
    constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    std::array<unsigned char, 16> random{};
    check(::getrandom(random.data(), random.size(), 0), "getrandom");
    std::string id;
    for (const unsigned char byte : random)
        id += kAlphabet[byte % kAlphabet.size()];
    return id;
}

RemoteRun::RemoteRun(Link& link, msg::Open open, Sink& out, Sink& err, Ask ask)
    : link_(link),
      open_(std::move(open)),
      out_{out, ReceiveStream(open_.pty ? kTerminalWindow : kWindow), {}, 0, {}, false},
      err_{err, ReceiveStream(), {}, 0, {}, false} {
    // What a sink has used before this run is not to be credited to it.
    (void)out_.sink.take_used();
    (void)err_.sink.take_used();
    is_suspended_ = ask == Ask::Later;
    if (!is_suspended_) link_.send(open_);
    link_.add(*this);
    if (open_.stdin_null) in_.finish();
}

RemoteRun::~RemoteRun() {
    link_.remove(*this);
}

RemoteRun::Incoming& RemoteRun::incoming(StreamId stream) {
    if (stream == StreamId::Stdin) throw ProtocolError("stdin from the server");
    return stream == StreamId::Stdout ? out_ : err_;
}

void RemoteRun::say(const Message& message) {
    if (is_suspended_) {
        held_back_.push_back(message);
    } else {
        link_.send(message);
    }
}

void RemoteRun::signal(const std::string& name) {
    say(msg::Signal{open_.channel, name});
}

void RemoteRun::cancel() {
    say(msg::Cancel{open_.channel});
}

msg::Resume::Point RemoteRun::point() const {
    return {open_.channel, open_.run, out_.stream.received(), err_.stream.received()};
}

void RemoteRun::resume(Offset in) {
    has_started_ = true;
    in_.resume(in);
    for (Incoming* const incoming : {&out_, &err_}) {
        incoming->stream.resume();
        incoming->stop_sent = false;
    }
    resize_ = size_;
    go_on();
}

void RemoteRun::ask() {
    if (has_started_) return lose("the server does not have it any more");
    link_.send(open_);
    go_on();
}

void RemoteRun::go_on() {
    is_suspended_ = false;
    for (const Message& message : std::exchange(held_back_, {}))
        link_.send(message);
}

void RemoteRun::interrupt(int time) {
    if (time > 2) return cancel();
    signal(time == 1 ? "INT" : "TERM");
}

void RemoteRun::on_message(const Message& message) {
    if (is_finished()) throw ProtocolError("a message of a run that has ended");
    if (const auto* const data = std::get_if<msg::Data>(&message)) {
        Incoming& in = incoming(data->stream);
        in.stream.accept(data->offset, data->bytes.size(), EventLoop::Clock::now());
        in.sum.update(data->bytes);
        in.delivered += data->bytes.size();
        in.sink.write(data->bytes);
    } else if (const auto* const credit = std::get_if<msg::Credit>(&message)) {
        if (credit->stream != StreamId::Stdin) throw ProtocolError("credit for a server's stream");
        in_.credit(credit->consumed, credit->limit);
    } else if (const auto* const eof = std::get_if<msg::Eof>(&message)) {
        incoming(eof->stream).stream.finish(eof->offset);
    } else if (const auto* const gap = std::get_if<msg::Gap>(&message)) {
        Incoming& in = incoming(gap->stream);
        in.stream.skip(gap->offset, gap->to);
        in.gap_at = gap->offset;
        in.sum = Crc32(gap->crc32);
        log::error(std::string(name_of(gap->stream)) + ": " +
                   std::to_string(gap->to - gap->offset) + " bytes left out after the first " +
                   std::to_string(gap->offset) + " (output limit)");
    } else if (std::holds_alternative<msg::Stop>(message)) {
        in_.stop();
    } else if (const auto* const started = std::get_if<msg::Started>(&message)) {
        has_started_ = true;
        log::info("run " + started->run + " started, pid " + std::to_string(started->pid));
        if (on_start_) on_start_();
    } else if (const auto* const refused = std::get_if<msg::Refused>(&message)) {
        link_.send(msg::EndAck{open_.channel, open_.run});
        outcome_ = NotStarted{"server", 0, "refused by the server: " + refused->message};
    } else if (const auto* const end = std::get_if<msg::End>(&message)) {
        on_end(*end);
    } else {
        throw ProtocolError("a message that only clients send");
    }
}

std::optional<std::string> RemoteRun::mismatch(const Incoming& in, const StreamSummary& told,
                                               std::string_view name) const {
    if (in.stop_sent) return std::nullopt;  // We asked for less, and got it.
    if (in.stream.received() != told.bytes) {
        return std::string(name) + ": " + std::to_string(in.stream.received()) + " of " +
               std::to_string(told.bytes) + " bytes arrived";
    }
    if (in.sum.value() != told.crc32) return std::string(name) + ": the checksum differs";
    return std::nullopt;
}

void RemoteRun::on_end(const msg::End& end) {
    if (end.run != open_.run) throw ProtocolError("the end of another run");
    end_ = end;
    link_.send(msg::EndAck{open_.channel, open_.run});
    for (const auto& [in, told, name] :
         {std::tuple(&out_, &end.out, "stdout"), std::tuple(&err_, &end.err, "stderr")}) {
        if (const auto why = mismatch(*in, *told, name)) return lose(*why);
    }
    outcome_ = end.outcome;
}

void RemoteRun::link_down(const std::string& problem) {
    if (is_finished()) return;
    lose((problem.empty() ? "the connection closed" : problem) + " before the end was told");
}

void RemoteRun::refused(const std::string& why) {
    if (is_finished()) return;
    if (has_started()) return lose(why);
    outcome_ = NotStarted{"server", 0, why};
}

void RemoteRun::lose(const std::string& why) {
    const std::string name = open_.on_disconnect == OnDisconnect{} ? "" : "run " + open_.run + ", ";
    outcome_ = Lost{why + " (" + name + "stdout " + std::to_string(out_.delivered) + ", stderr " +
                    std::to_string(err_.delivered) + " bytes arrived)"};
}

StreamSummary RemoteRun::received(StreamId stream) const {
    const Incoming& in = stream == StreamId::Stdout ? out_ : err_;
    StreamSummary summary{in.stream.received(), in.sum.value(), false, std::nullopt, in.gap_at};
    if (in.gap_at) summary.delivered = in.delivered;
    return summary;
}

bool RemoteRun::has_output() const {
    if (is_finished() || is_suspended_) return false;
    if (in_.has_piece() || in_.is_eof_due() || resize_) return true;
    for (const Incoming* const in : {&out_, &err_}) {
        if (in->sink.failure() != 0 && !in->stop_sent) return true;
        if (in->stream.due_credit()) return true;
    }
    return false;
}

void RemoteRun::put_control(std::string& out) {
    if (is_finished() || is_suspended_) return;
    if (const auto size = std::exchange(resize_, std::nullopt)) {
        encode(out, msg::Resize{open_.channel, *size});
    }
    for (const auto& [in, id] :
         {std::pair(&out_, StreamId::Stdout), std::pair(&err_, StreamId::Stderr)}) {
        in->stream.consume(static_cast<std::size_t>(in->sink.take_used()));
        if (in->sink.failure() != 0 && !in->stop_sent) {
            encode(out, msg::Stop{open_.channel, id});
            in->stop_sent = true;
        }
        if (const auto credit = in->stream.due_credit()) {
            encode(out, msg::Credit{open_.channel, id, credit->consumed, credit->limit});
            in->stream.credit_sent(*credit, EventLoop::Clock::now());
        }
    }
}

void RemoteRun::put_chunk(std::string& out, std::size_t most) {
    if (is_finished() || is_suspended_) return;
    if (const auto piece = in_.next(most)) {
        encode_data(out, {open_.channel, StreamId::Stdin, piece->offset, 0, piece->bytes});
    } else if (in_.is_eof_due()) {
        encode(out, msg::Eof{open_.channel, StreamId::Stdin, in_.end()});
        in_.eof_sent();
    }
}

}  // namespace frsh
