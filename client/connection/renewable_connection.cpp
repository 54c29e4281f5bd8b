#include "client/connection/renewable_connection.hpp"

#include "common/base/log.hpp"

#include <utility>

namespace frsh {

RenewableConnection::RenewableConnection(EventLoop& loop, Connection first,
                                         ServerConnection::OnOther on_other,
                                         std::chrono::milliseconds grace)
    : loop_(loop), connector_(first.connector), grace_(grace) {
    server_ = std::make_unique<ServerConnection>(loop, std::move(first), std::move(on_other));
}

bool RenewableConnection::is_open() {
    update();
    return state_ == State::Open && !server_->is_down();
}

bool RenewableConnection::is_closed() {
    update();
    return state_ == State::Closed;
}

void RenewableConnection::update() {
    if (state_ == State::Renewing && !is_attempting_ && !server_->is_down() && server_->server()) {
        state_ = State::Open;
        reconnect_->works();
        log::info("a new session goes on");
    }
    const bool has_ended = !is_attempting_ && server_->is_down();
    if (!has_ended || state_ == State::Closed || state_ == State::Lost) return;
    if (!may_renew()) {
        state_ = State::Closed;
        reconnect_.reset();
    } else if (state_ == State::Open) {
        state_ = State::Lost;
        server_->finish(EventLoop::Clock::now());  // Closes the socket.
    }
}

// A refusal stays the same, except of a session that has ended and of a server that restarts.
bool RenewableConnection::may_renew() const {
    if (grace_.count() == 0 || !connector_) return false;
    const auto& refusal = server_->refusal();
    return !refusal || refusal->reason == "gone" || refusal->reason == "shutdown" ||
           refusal->retry_after.has_value();
}

void RenewableConnection::renew() {
    update();
    if (state_ == State::Closed || is_attempting_ || !server_->is_down()) return;
    const std::string why =
        server_->problem().empty() ? "the server closed the connection" : server_->problem();
    is_attempting_ = true;
    if (state_ == State::Renewing) return reconnect_->again(why);
    state_ = State::Renewing;
    begin_to_renew(why);
}

// Sessions that end right after they begin are reported once.
void RenewableConnection::begin_to_renew(const std::string& why) {
    if (!reconnect_) {
        reconnect_ = std::make_unique<Reconnect>(
            loop_, connector_,
            Reconnect::Calls{[this](Connection connection) { take(std::move(connection)); },
                             [this] { server_->leave(); },
                             [this](const std::string&) {
                                 is_attempting_ = false;
                                 state_ = State::Closed;
                             },
                             [](unsigned) {}});
    }
    const bool is_new = reconnect_->lost(grace_, why, server_->carried());
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(grace_).count();
    if (is_new) {
        log::error(why + "; trying to begin a new session for " + std::to_string(seconds) + " s");
    }
}

void RenewableConnection::take(Connection connection) {
    is_attempting_ = false;
    connection.connector = connector_;
    server_->finish(EventLoop::Clock::now());
    server_ = std::make_unique<ServerConnection>(loop_, std::move(connection));
}

}  // namespace frsh
