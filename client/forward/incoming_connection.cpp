#include "client/forward/incoming_connection.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/run/remote_run.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"

#include <cstring>
#include <utility>
#include <variant>

namespace frsh {
namespace {

msg::Open accept_request(std::uint64_t number, const OnDisconnect& on_disconnect) {
    msg::Open open;
    open.run = new_run_id();
    open.mode = msg::Open::Mode::Accept;
    open.args = {std::to_string(number)};
    open.on_disconnect = on_disconnect;
    return open;
}

}  // namespace

IncomingConnection::IncomingConnection(EventLoop& loop, ServerConnection& server,
                                       std::uint64_t number, const std::vector<std::string>& to,
                                       OnDisconnect on_disconnect)
    : loop_(loop), server_(server), number_(number), on_disconnect_(on_disconnect) {
    if (!to.empty()) {
        connect(to);
        return;
    }
    state_ = State::Requesting;
    open_run();
}

IncomingConnection::~IncomingConnection() {
    if (connector_) connector_->reap();
}

void IncomingConnection::refuse(ServerConnection& server, std::uint64_t number) {
    NullSink nothing{0};
    RemoteRun& run = server.open(accept_request(number, {}), nothing, nothing);
    run.cancel();
    server.forget(run);
}

void IncomingConnection::open_run() {
    run_ = &server_.open(accept_request(number_, on_disconnect_), out_, err_);
}

void IncomingConnection::progress() {
    if (state_ == State::Requesting) read_request();
    if (state_ == State::Open) {
        pump_->progress();
        if (pump_->is_over()) state_ = State::Over;
    }
    const bool is_waiting = state_ == State::Requesting || state_ == State::Connecting;
    if (run_ == nullptr || state_ == State::Over || state_ == State::Open) return;
    if (run_->is_finished() || (!is_waiting && run_->has_ended(StreamId::Stdout))) close();
}

void IncomingConnection::read_request() {
    const std::string bytes = out_.take();
    if (!bytes.empty()) run_->append_stdin(socks_.take(bytes));
    if (socks_.state() == SocksRequest::State::Complete) return connect(socks_.to());
    const bool has_left = run_->has_ended(StreamId::Stdout);
    if (socks_.state() == SocksRequest::State::Reading && !has_left) return;
    state_ = State::Refused;
    run_->finish_stdin();
}

void IncomingConnection::connect(const std::vector<std::string>& to) {
    to_ = to;
    state_ = State::Connecting;
    connector_ = std::make_unique<ForwardConnector>(
        loop_, to_, [this](ForwardConnector::Result result) { on_result(std::move(result)); });
}

void IncomingConnection::on_result(ForwardConnector::Result result) {
    connector_->reap();
    if (state_ != State::Connecting) return;
    if (const auto* const failure = std::get_if<ConnectFailure>(&result)) {
        return on_failure(*failure);
    }
    Fd socket = std::get<Fd>(std::move(result));
    const std::string text = destination_text(to_);
    try {
        if (to_.size() > 1) tune_tcp(socket.get());
        pump_.emplace(loop_, server_, std::move(socket));
    } catch (const SysError& error) {
        return on_failure({error.code().value(), error.what()});
    }
    const bool is_socks = run_ != nullptr;
    if (!is_socks) open_run();
    pump_->out().write(is_socks ? socks_.rest() : "");
    out_.pass_to(pump_->out());
    if (is_socks) run_->append_stdin(socks_.answer(0));
    state_ = State::Open;
    pump_->begin(*std::exchange(run_, nullptr), text, [text](const NotStarted& failure) {
        // The connection has gone before this client opened it.
        log::info(escape_controls("forwarding to " + text + ": " + failure.message));
    });
}

void IncomingConnection::on_failure(const ConnectFailure& failure) {
    const std::string why =
        failure.message.empty() ? std::strerror(failure.error) : failure.message;
    log::error(escape_controls("forwarding to " + destination_text(to_) + ": " + why));
    if (run_ == nullptr) {
        refuse(server_, number_);
        state_ = State::Over;
        return;
    }
    const bool has_errno = failure.error != 0;
    run_->append_stdin(socks_.answer(has_errno ? std::optional(failure.error) : std::nullopt));
    run_->finish_stdin();
    (void)out_.take();
    state_ = State::Refused;
}

void IncomingConnection::reset() {
    if (pump_) pump_->reset();
    close();
}

void IncomingConnection::close() {
    state_ = State::Over;
    if (run_ == nullptr) return;
    if (!run_->is_finished()) run_->cancel();
    server_.forget(*std::exchange(run_, nullptr));
}

}  // namespace frsh
