#include "client/forward/remote_forwards.hpp"

#include "client/connection/stage_error.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>
#include <variant>

namespace frsh {
namespace {

// Returns the place as `listen` has it; `port` is the one that the server has chosen before, or 0.
std::vector<std::string> place_of(const ForwardSpec& spec, std::uint64_t port) {
    if (!spec.path.empty()) return {spec.path};
    return {spec.bind.value_or("localhost"), std::to_string(port != 0 ? port : spec.port)};
}

std::string name_of_listener(const ForwardSpec& spec) {
    return spec.path.empty() ? "port " + std::to_string(spec.port) : "path " + spec.path;
}

}  // namespace

OnDisconnect forward_grace(const ClientOptions& options) {
    OnDisconnect wish = on_disconnect_of(options);
    // A connection cannot be kept without its client.
    if (wish.kind == OnDisconnect::Kind::Keep) wish.kind = OnDisconnect::Kind::Grace;
    return wish;
}

void announce_port(const ForwardSpec& spec, std::uint64_t port) {
    std::string text = "Allocated port " + std::to_string(port) + " for ";
    if (spec.kind == ForwardSpec::Kind::Remote) {
        // ssh prints a destination that a SOCKS request will name as "socks:0".
        text += "remote forward to " + (spec.to.empty() ? "socks:0" : destination_text(spec.to));
    } else {
        text +=
            spec.to.empty() ? "dynamic forward" : "local forward to " + destination_text(spec.to);
    }
    log::error(escape_controls(text));
}

void RemoteForwards::add(const ForwardSpec& spec, OnAnswer on_answer) {
    if (listeners_.size() >= kMaxListeners) {
        throw UserError("-R: more than " + std::to_string(kMaxListeners));
    }
    Listener listener{spec};
    listener.on_answer = std::move(on_answer);
    const auto added = listeners_.emplace(++last_, std::move(listener)).first;
    if (server_ != nullptr) request(added->first, added->second);
}

bool RemoteForwards::remove(const ForwardSpec& spec) {
    const auto found = std::find_if(listeners_.begin(), listeners_.end(),
                                    [&](const auto& entry) { return entry.second.spec == spec; });
    if (found == listeners_.end()) return false;
    server_->link().send(msg::Unlisten{found->first});
    listeners_.erase(found);
    return true;
}

void RemoteForwards::start(ServerConnection& server) {
    server_ = &server;
    for (const auto& [id, listener] : listeners_)
        request(id, listener);
}

void RemoteForwards::request(ListenerId id, const Listener& listener) {
    msg::Listen listen;
    listen.listener = id;
    listen.args = place_of(listener.spec, listener.port);
    listen.on_disconnect = forward_grace(options_);
    listen.unlink = options_.settings.unlinks_sockets.value_or(false);
    server_->link().send(listen);
}

void RemoteForwards::stop() {
    for (const auto& [id, listener] : listeners_) {
        if (listener.state != Listener::State::Failed) server_->link().send(msg::Unlisten{id});
    }
}

bool RemoteForwards::is_ready() const {
    return std::none_of(listeners_.begin(), listeners_.end(), [](const auto& entry) {
        return entry.second.state == Listener::State::Requested;
    });
}

void RemoteForwards::on_message(const Message& message) {
    if (const auto* const listening = std::get_if<msg::Listening>(&message)) {
        on_listening(*listening);
    } else if (const auto* const incoming = std::get_if<msg::Incoming>(&message)) {
        on_incoming(*incoming);
    } else if (std::holds_alternative<msg::Resumed>(message)) {
        for (const auto& [id, listener] : listeners_) {
            if (listener.state != Listener::State::Failed) request(id, listener);
        }
    }
}

void RemoteForwards::on_listening(const msg::Listening& listening) {
    const auto found = listeners_.find(listening.listener);
    if (found == listeners_.end()) {
        if (listening.listener <= last_) return;  // It was removed meanwhile.
        throw ProtocolError("the answer to no listen");
    }
    Listener& listener = found->second;
    if (const OnAnswer on_answer = std::exchange(listener.on_answer, {})) {
        listener.state = Listener::State::Listening;
        listener.port = listening.port;
        if (listening.problem) listeners_.erase(found);
        return on_answer(listening);
    }
    const ForwardSpec& spec = listener.spec;
    if (listening.problem) {
        listener.state = Listener::State::Failed;
        const std::string why = "-R: remote port forwarding failed for listen " +
                                name_of_listener(spec) + ": " + *listening.problem;
        if (options_.settings.exit_on_forward_failure.value_or(false)) failure_ = why;
        if (!failure_) log::error(escape_controls(why));
        return;
    }
    const bool is_first =
        std::exchange(listener.state, Listener::State::Listening) == Listener::State::Requested;
    listener.port = listening.port;
    if (is_first && spec.path.empty() && spec.port == 0) announce_port(spec, listening.port);
}

void RemoteForwards::on_incoming(const msg::Incoming& incoming) {
    const auto found = listeners_.find(incoming.listener);
    if (found == listeners_.end()) {
        if (incoming.listener > last_) throw ProtocolError("a connection to no listener");
        return IncomingConnection::refuse(*server_, incoming.connection);  // Removed meanwhile.
    }
    // After a resume, the session announces again what this client has not opened there.
    const bool is_known = std::any_of(
        connections_.begin(), connections_.end(),
        [&](const auto& connection) { return connection->number() == incoming.connection; });
    if (is_known) return;
    try {
        if (connections_.size() >= kMaxForwards) throw UserError("too many connections at once");
        connections_.push_back(std::make_unique<IncomingConnection>(
            loop_, *server_, incoming.connection, found->second.spec.to, forward_grace(options_)));
    } catch (const std::exception& error) {
        log::error(std::string("-R: ") + error.what());
        IncomingConnection::refuse(*server_, incoming.connection);
    }
}

void RemoteForwards::progress() {
    if (server_ == nullptr || (is_empty() && connections_.empty())) return;
    if (server_->is_known_to_lack("listen")) {
        throw StageError("server", "-R: this server does not listen for its clients");
    }
    if (failure_) {
        server_->leave();
        throw UserError(*failure_);
    }
    for (const auto& connection : connections_) {
        connection->progress();
        if (server_->is_down()) connection->reset();
    }
    std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
}

}  // namespace frsh
