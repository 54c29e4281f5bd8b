#include "server/forward/connect_channel.hpp"

#include "common/base/brackets.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/net/listen_places.hpp"
#include "common/net/socket.hpp"

#include <cerrno>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

namespace frsh {
namespace {

bool is_usable(const std::vector<std::string>& to) {
    if (to.size() == 1) return to[0].starts_with('/');
    return !to[0].empty() && parse_number(to[1], 1, 65535).has_value();
}

}  // namespace

ConnectChannel::ConnectChannel(EventLoop& loop, const msg::Open& open,
                               std::optional<NotStarted> refusal, WindowBudgets& budgets,
                               OnEnd on_end)
    : loop_(loop),
      budgets_(budgets),
      channel_(open.channel),
      id_(open.run),
      on_disconnect_(open.on_disconnect),
      on_end_(std::move(on_end)) {
    if (!refusal && !is_usable(open.args)) {
        refusal = NotStarted{"connect", EINVAL, "no host and port, and no absolute path"};
    }
    if (refusal) {
        end(*std::move(refusal));
        return;
    }
    try {
        connector_ = std::make_unique<ForwardConnector>(
            loop, open.args,
            [this](ForwardConnector::Result result) { on_result(std::move(result)); });
    } catch (const SysError& error) {
        end(NotStarted{"connect", error.code().value(), error.what()});
    }
}

ConnectChannel::ConnectChannel(EventLoop& loop, const msg::Open& open, Fd accepted,
                               WindowBudgets& budgets, OnEnd on_end)
    : loop_(loop),
      budgets_(budgets),
      channel_(open.channel),
      id_(open.run),
      on_disconnect_(open.on_disconnect),
      on_end_(std::move(on_end)) {
    on_result(std::move(accepted));
}

ConnectChannel::~ConnectChannel() {
    report(Lost{"the session has ended"});
}

void ConnectChannel::on_result(ForwardConnector::Result result) {
    if (state_ != State::Connecting) return;
    if (auto* const failure = std::get_if<ConnectFailure>(&result)) {
        return end(NotStarted{"connect", failure->error, std::move(failure->message)});
    }
    try {
        begin(std::get<Fd>(std::move(result)));
    } catch (const SysError& error) {
        end(NotStarted{"connect", error.code().value(), error.what()});
    }
}

void ConnectChannel::begin(Fd socket) {
    int family = 0;
    socklen_t size = sizeof family;
    check(::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size), "getsockopt");
    if (family != AF_UNIX) tune_tcp(socket.get());
    socket_ = socket.get();
    at_close(socket_, AtClose::Reset);
    Fd reading(check(::fcntl(socket_, F_DUPFD_CLOEXEC, 3), "dup"));
    in_ = std::make_unique<StdinWriter>(loop_, std::move(socket), budgets_.receiving);
    out_ = std::make_unique<OutputReader>(
        loop_, StreamId::Stdout, std::move(reading), [this] { check_progress(); },
        budgets_.sending);
    if (early_.credit) out_->credit(early_.credit->consumed, early_.credit->limit);
    state_ = State::Open;
    was_connected_ = is_started_due_ = true;
    if (!early_.bytes.empty()) in_->data({channel_, StreamId::Stdin, 0, 0, early_.bytes});
    if (early_.eof) in_->eof(*early_.eof);
    early_.bytes.clear();
    check_progress();
}

void ConnectChannel::on(const msg::Data& data) {
    if (data.stream != StreamId::Stdin) throw ProtocolError("output from a client");
    if (in_) return in_->data(data);
    if (state_ != State::Connecting) return;  // On its way when the channel ended.
    if (data.offset != early_.bytes.size() || early_.eof)
        throw ProtocolError("data at a wrong offset");
    if (early_.bytes.size() + data.bytes.size() > kForwardFirstWindow) {
        throw ProtocolError("data above the limit");
    }
    early_.bytes += data.bytes;
}

void ConnectChannel::on(const msg::Eof& eof) {
    if (eof.stream != StreamId::Stdin) throw ProtocolError("an end of output from a client");
    if (in_) return in_->eof(eof.offset);
    if (state_ != State::Connecting) return;
    if (eof.offset != early_.bytes.size()) throw ProtocolError("an eof at a wrong offset");
    early_.eof = eof.offset;
}

void ConnectChannel::on(const msg::Credit& credit) {
    if (credit.stream != StreamId::Stdout) return;
    if (out_) return out_->credit(credit.consumed, credit.limit);
    if (state_ == State::Connecting) early_.credit = credit;
}

void ConnectChannel::on(const msg::Stop& stop) {
    if (stop.stream != StreamId::Stdout || !out_) return;
    is_output_unwanted_ = true;
    out_->stop();
}

void ConnectChannel::on(const msg::Cancel&) {
    if (state_ != State::Connecting && state_ != State::Open) return;
    end(Canceled{});
    // Closing both descriptors sends the RST at once. A shutdown(2) before it would send a FIN.
    if (in_) arrived_ = in_->resume();
    in_.reset();
    out_.reset();
    socket_ = -1;
}

std::optional<Offset> ConnectChannel::resume(const msg::Resume::Point& point) {
    if (state_ == State::Abandoned) return std::nullopt;
    if (out_) out_->resume(point.out);
    if (state_ == State::Told) state_ = State::Ended;
    is_started_due_ = was_connected_;
    return in_ ? in_->resume() : arrived_.value_or(early_.bytes.size());
}

void ConnectChannel::abandon(Termination::First, Time) {
    report(Lost{"the client has gone"});
    state_ = State::Abandoned;
    out_.reset();
    in_.reset();
    connector_.reset();
}

void ConnectChannel::check_progress() {
    if (state_ != State::Open || out_->is_open()) return;
    if (!out_->summary().eof && !is_output_unwanted_) {
        return end(Lost{"the peer reset the connection"});
    }
    if (!in_->is_closed()) return;
    if (in_->has_ended()) at_close(socket_, AtClose::Finish);
    end(Exited{0});
}

void ConnectChannel::tick(Time) {
    check_progress();
}

void ConnectChannel::end(Outcome outcome) {
    msg::End record;
    record.channel = channel_;
    record.run = id_;
    record.outcome = std::move(outcome);
    if (out_) {
        out_->close();
        record.out = out_->summary();
        if (!std::holds_alternative<Canceled>(record.outcome)) in_->close();
    }
    // No `eof` of stderr is ever sent, so the record claims none.
    // A record of a run that was observed requires a `started` before it.
    if (!std::holds_alternative<NotStarted>(record.outcome) && !was_connected_) {
        was_connected_ = is_started_due_ = true;
    }
    record_ = std::move(record);
    state_ = State::Ended;
    report(record_->outcome);
}

void ConnectChannel::report(const Outcome& outcome) {
    if (!on_end_) return;
    const Offset to_client = out_ ? out_->summary().bytes : 0;
    std::exchange(on_end_, nullptr)({outcome, in_ ? in_->taken() : 0, to_client});
}

bool ConnectChannel::is_record_due() const {
    return state_ == State::Ended && (!out_ || out_->is_delivered());
}

bool ConnectChannel::has_output() const {
    return is_started_due_ || (in_ && in_->has_control()) || (out_ && out_->has_output()) ||
           is_record_due();
}

void ConnectChannel::put_control(std::string& out) {
    if (is_started_due_) encode(out, msg::Started{channel_, id_, 0});
    is_started_due_ = false;
    if (in_) in_->put_control(out, channel_);
}

void ConnectChannel::put_chunk(std::string& out, std::size_t most) {
    if (is_started_due_) return;  // Follows put_control().
    if (out_ && out_->has_output()) return out_->put_chunk(out, channel_, most, Time{});
    if (!is_record_due()) return;
    encode(out, *record_);
    state_ = State::Told;
}

}  // namespace frsh
