#include "client/run/remote_run.hpp"

#include "client/cli/connection_settings.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <tuple>
#include <utility>
#include <variant>

#include <sys/random.h>

namespace frsh {

namespace {

std::chrono::milliseconds boot_time() {
    timespec now{};
    check(::clock_gettime(CLOCK_BOOTTIME, &now), "clock_gettime");
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

bool is_forward(const msg::Open& open) {
    return open.mode == msg::Open::Mode::Connect || open.mode == msg::Open::Mode::Accept;
}

SendStream stdin_of(const msg::Open& open, WindowBudgets* budgets) {
    return is_forward(open) ? SendStream(budgets->sending) : SendStream();
}

ReceiveStream stdout_of(const msg::Open& open, WindowBudgets* budgets) {
    if (is_forward(open)) return ReceiveStream(budgets->receiving);
    // The server stores as much: with a larger window here, each end would wait for the other.
    return ReceiveStream(open.pty ? kTerminalWindow : kWindow);
}

}  // namespace

std::string new_run_id() {
    constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    std::array<unsigned char, 16> random{};
    check(::getrandom(random.data(), random.size(), 0), "getrandom");
    std::string id;
    for (const unsigned char byte : random)
        id += kAlphabet[byte % kAlphabet.size()];
    return id;
}

RemoteRun::RemoteRun(Link& link, msg::Open open, OutputSink& out, OutputSink& err, Ask ask,
                     WindowBudgets* budgets)
    : link_(link),
      channel_(open.channel),
      id_(open.run),
      on_disconnect_(open.on_disconnect),
      is_kept_(open.kept),
      is_in_lasting_shell_(!open.shell_name.empty()),
      in_(stdin_of(open, budgets)),
      out_{out, stdout_of(open, budgets), {}, 0, 0, {}, false},
      err_{err, ReceiveStream(), {}, 0, 0, {}, false} {
    if (open.stdin_null) in_.finish();
    request_ = std::move(open);
    begin(ask);
}

RemoteRun::RemoteRun(Link& link, msg::Attach attach, OutputSink& out, OutputSink& err, Ask ask)
    : link_(link),
      channel_(attach.channel),
      id_(attach.run),
      on_disconnect_{OnDisconnect::Kind::Keep, kDefaultGracePeriod},
      is_kept_(true),
      out_{out, ReceiveStream(), {}, 0, 0, {}, false},
      err_{err, ReceiveStream(), {}, 0, 0, {}, false} {
    request_ = std::move(attach);
    begin(ask);
}

void RemoteRun::begin(Ask ask) {
    // Bytes that a sink used before this run are not credited to it.
    (void)out_.sink.take_used();
    (void)err_.sink.take_used();
    suspension_.is_on = ask == Ask::Later;
    if (!suspension_.is_on) {
        link_.send(request_);
        asked_at_ = boot_time();
    }
    link_.add(*this);
}

RemoteRun::~RemoteRun() {
    link_.remove(*this);
}

RemoteRun::Incoming& RemoteRun::incoming(StreamId stream) {
    if (stream == StreamId::Stdin) throw ProtocolError("stdin from the server");
    return stream == StreamId::Stdout ? out_ : err_;
}

void RemoteRun::say(const Message& message) {
    if (suspension_.is_on) {
        suspension_.held_back.push_back(message);
    } else {
        link_.send(message);
    }
}

void RemoteRun::signal(const std::string& name) {
    say(msg::Signal{channel_, name});
}

void RemoteRun::cancel() {
    say(msg::Cancel{channel_});
}

Offset RemoteRun::progress() const {
    return out_.stream.received() + err_.stream.received() + in_.consumed();
}

std::optional<msg::Resume::Point> RemoteRun::point() const {
    if (is_attached() && !answer_.has_started) return std::nullopt;
    return msg::Resume::Point{channel_, id_, out_.stream.received(), err_.stream.received()};
}

std::chrono::milliseconds RemoteRun::age() const {
    if (answer_.has_started || !asked_at_) return {};
    return boot_time() - *asked_at_;
}

void RemoteRun::resume(const msg::Resumed::Point& point) {
    // `started` may have been lost with the connection.
    if (!answer_.has_started) on_started(point.pid);
    repeat_streams(point.in);
    go_on();
}

void RemoteRun::repeat_streams(Offset in) {
    in_.resume(in);
    for (Incoming* const incoming : {&out_, &err_}) {
        incoming->stream.resume();
        incoming->stop_sent = false;
    }
    window_.to_send = window_.wanted;
}

void RemoteRun::ask() {
    if (answer_.has_started) return lose("the server does not have it any more");
    // What followed the request on the lost connection was lost with it: stdin, its end, credit.
    repeat_streams(0);
    link_.send(request_);
    if (!asked_at_) asked_at_ = boot_time();
    go_on();
}

void RemoteRun::go_on() {
    suspension_.is_on = false;
    for (const Message& message : std::exchange(suspension_.held_back, {}))
        link_.send(message);
}

void RemoteRun::interrupt(InterruptLadder::Step step) {
    using Step = InterruptLadder::Step;
    if (step == Step::Interrupt) signal("INT");
    if (step == Step::Terminate) signal("TERM");
    if (step == Step::Kill) cancel();
}

void RemoteRun::on_message(const Message& message) {
    if (is_finished()) throw ProtocolError("a message of a run that has ended");
    const bool is_answer = std::holds_alternative<msg::Attached>(message) ||
                           std::holds_alternative<msg::Refused>(message);
    if (is_attached() && !answer_.has_started && !is_answer) {
        throw ProtocolError("a message of a run before it was attached to");
    }
    if (const auto* const data = std::get_if<msg::Data>(&message)) {
        Incoming& in = incoming(data->stream);
        in.stream.accept(data->offset, data->bytes.size(), EventLoop::Clock::now());
        in.sum.update(data->bytes);
        const Offset early = in.begun_at - std::min(in.begun_at, data->offset);
        const auto unwanted = std::min<std::size_t>(early, data->bytes.size());
        in.stream.consume(unwanted);
        in.delivered += data->bytes.size() - unwanted;
        in.sink.write(data->bytes.substr(unwanted));
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
        in.sink.skip(gap->to, gap->crc32);
        log::error(std::string(name_of(gap->stream)) + ": " +
                   std::to_string(gap->to - gap->offset) + " bytes left out after the first " +
                   std::to_string(gap->offset) + (is_kept_ ? " (not kept)" : " (output limit)"));
    } else if (std::holds_alternative<msg::Stop>(message)) {
        in_.stop();
    } else if (const auto* const started = std::get_if<msg::Started>(&message)) {
        on_started(started->pid);
    } else if (const auto* const attached = std::get_if<msg::Attached>(&message)) {
        on_attached(*attached);
    } else if (const auto* const refused = std::get_if<msg::Refused>(&message)) {
        on_refused(*refused);
    } else if (const auto* const end = std::get_if<msg::End>(&message)) {
        on_end(*end);
    } else {
        throw ProtocolError("a message that only clients send");
    }
}

void RemoteRun::on_started(std::int64_t pid) {
    answer_.has_started = true;
    answer_.pid = pid;
    log::info("run " + id_ + (is_attached() ? " found" : " started") + ", pid " +
              std::to_string(pid));
    if (on_start_) on_start_();
}

// The server begins after the requested offset if the journal has a gap there, and before it if the
// command has not produced that much yet.
void RemoteRun::begin_at(Incoming& in, std::optional<Offset> wanted,
                         const msg::Attached::Point& point, std::string_view name) {
    in.stream.skip(0, point.at);
    in.sum = Crc32(point.crc32);
    in.begun_at = std::max(point.at, wanted.value_or(0));
    if (wanted && *wanted < point.at) {
        in.gap_at = *wanted;
        log::error(std::string(name) + ": bytes " + std::to_string(*wanted) + " to " +
                   std::to_string(point.at) + " were not kept");
    }
}

// Bytes below these points went to another client: they enter the checksum, not the count.
void RemoteRun::on_attached(const msg::Attached& attached) {
    const auto* const asked = std::get_if<msg::Attach>(&request_);
    if (asked == nullptr || answer_.has_started) throw ProtocolError("an unrequested attached");
    if (!attached.run.starts_with(asked->run)) throw ProtocolError("attached to another run");
    begin_at(out_, asked->out, attached.out, "stdout");
    begin_at(err_, asked->err, attached.err, "stderr");
    id_ = attached.run;
    on_started(attached.pid);
}

void RemoteRun::on_refused(const msg::Refused& refused) {
    if (answer_.has_started) throw ProtocolError("a refusal of what had begun");
    link_.send(msg::EndAck{channel_, id_});
    answer_.refusal = refused.message;
    if (is_attached()) {
        outcome_ = Lost{refused.message};
    } else {
        outcome_ = NotStarted{"server", 0, "refused by the server: " + refused.message};
    }
}

std::optional<std::string> RemoteRun::mismatch(const Incoming& in, const StreamSummary& told,
                                               std::string_view name) const {
    if (in.stop_sent) return std::nullopt;  // After a `stop`, the server may have sent less.
    if (in.stream.received() != told.bytes) {
        return std::string(name) + ": " + std::to_string(in.stream.received()) + " of " +
               std::to_string(told.bytes) + " bytes arrived";
    }
    if (in.sum.value() != told.crc32) return std::string(name) + ": the checksum differs";
    return std::nullopt;
}

void RemoteRun::on_end(const msg::End& end) {
    if (end.run != id_) throw ProtocolError("the end of another run");
    answer_.end = end;
    link_.send(msg::EndAck{channel_, id_});
    const bool has_run = was_observed(end.outcome);
    if (has_run && !answer_.has_started) return lose("its end arrived, but not its start");
    for (const auto& [in, told, name] :
         {std::tuple(&out_, &end.out, "stdout"), std::tuple(&err_, &end.err, "stderr")}) {
        if (const auto why = mismatch(*in, *told, name)) return lose(*why);
        if (has_run && told->eof && !in->stream.is_finished() && !in->stop_sent) {
            return lose(std::string(name) + ": its end of file did not arrive");
        }
    }
    outcome_ = end.outcome;
}

void RemoteRun::link_down(const std::string& problem) {
    if (is_finished()) return;
    lose((problem.empty() ? "the connection closed" : problem) + " before the end was told");
}

void RemoteRun::refused(const std::string& why, const char* stage,
                        std::optional<std::uint64_t> retry_after) {
    if (is_finished()) return;
    answer_.retry_after = retry_after;
    if (has_started() || is_attached()) return lose(why);
    outcome_ = NotStarted{stage, 0, why};
}

void RemoteRun::lose(const std::string& why) {
    const std::string name =
        on_disconnect_ == OnDisconnect{} && !is_kept_ ? "" : "run " + id_ + ", ";
    outcome_ = Lost{why + " (" + name + "stdout " + std::to_string(out_.delivered) + ", stderr " +
                    std::to_string(err_.delivered) + " bytes arrived)"};
}

StreamSummary RemoteRun::received(StreamId stream) const {
    const Incoming& in = stream == StreamId::Stdout ? out_ : err_;
    StreamSummary summary{in.stream.received(), in.sum.value(), false, std::nullopt, in.gap_at};
    if (in.gap_at) summary.delivered = in.delivered;
    return summary;
}

Offset RemoteRun::begun_at(StreamId stream) const {
    return (stream == StreamId::Stdout ? out_ : err_).begun_at;
}

bool RemoteRun::lacks_bytes() const {
    const auto* const open = std::get_if<msg::Open>(&request_);
    if (open != nullptr && open->max_output) return false;
    return out_.gap_at || err_.gap_at;
}

bool RemoteRun::has_output() const {
    if (is_finished() || suspension_.is_on) return false;
    if (in_.has_piece() || in_.is_eof_due() || window_.to_send) return true;
    for (const Incoming* const in : {&out_, &err_}) {
        if (in->sink.failure() != 0 && !in->stop_sent) return true;
        if (in->stream.due_credit()) return true;
    }
    return false;
}

void RemoteRun::put_control(std::string& out) {
    if (is_finished() || suspension_.is_on) return;
    if (const auto size = std::exchange(window_.to_send, std::nullopt)) {
        encode(out, msg::Resize{channel_, *size});
    }
    for (const auto& [in, id] :
         {std::pair(&out_, StreamId::Stdout), std::pair(&err_, StreamId::Stderr)}) {
        in->stream.consume(static_cast<std::size_t>(in->sink.take_used()));
        if (in->sink.failure() != 0 && !in->stop_sent) {
            encode(out, msg::Stop{channel_, id});
            in->stop_sent = true;
        }
        if (const auto credit = in->stream.due_credit()) {
            encode(out, msg::Credit{channel_, id, credit->consumed, credit->limit});
            in->stream.credit_sent(*credit, EventLoop::Clock::now());
        }
    }
}

void RemoteRun::put_chunk(std::string& out, std::size_t most) {
    if (is_finished() || suspension_.is_on) return;
    if (const auto piece = in_.next(most)) {
        encode_data(out, {channel_, StreamId::Stdin, piece->offset, 0, piece->bytes});
    } else if (in_.is_eof_due()) {
        encode(out, msg::Eof{channel_, StreamId::Stdin, in_.end()});
        in_.eof_sent();
    }
}

}  // namespace frsh
