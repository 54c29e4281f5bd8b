#include "server/forward/forward_listeners.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/address.hpp"
#include "common/net/listen_places.hpp"
#include "common/net/socket.hpp"
#include "server/forward/forward_permission.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// The most connections that wait for the client to open them; the kernel's queue holds the others.
constexpr std::size_t kMaxWaiting = 128;
constexpr auto kPauseWithoutDescriptors = 100ms;

// Returns nothing for a unix socket, and for a peer that has left already.
std::string address_of_peer(int socket) {
    try {
        const Address address = peer_address(socket);
        return address.family() == AF_UNIX ? "" : address.text();
    } catch (const SysError&) {
        return "";
    }
}

}  // namespace

void ForwardListeners::refuse(const msg::Listen& listen, const std::string& why) {
    link_.send(msg::Listening{listen.listener, 0, escape_controls(why)});
}

void ForwardListeners::open(const msg::Listen& listen) {
    const auto found = listeners_.find(listen.listener);
    if (found != listeners_.end()) {
        return link_.send(msg::Listening{listen.listener, found->second.port});
    }
    if (listeners_.size() >= kMaxListeners) {
        return refuse(listen, "more than " + std::to_string(kMaxListeners) + " listeners");
    }
    if (const auto why = listen_refusal(listen, rules_)) return refuse(listen, *why);
    try {
        Listener& listener = listeners_.emplace(listen.listener, bind(listen)).first->second;
        watch(listener);
        link_.send(msg::Listening{listen.listener, listener.port});
        log::info("forward: listening for the client at " + listener.place);
    } catch (const std::exception& error) {
        refuse(listen, error.what());
    }
}

ForwardListeners::Listener ForwardListeners::bind(const msg::Listen& listen) {
    Listener listener{listen, 0, {}, place_text(listen.args), ""};
    if (listen.agent) {
        listener.folder = std::make_unique<PrivateFolder>();
        listener.path = listener.place = listener.folder->path() + "/agent";
        listener.sockets.push_back({listen_at_path(listener.path, UnlinksSocket::No)});
        return listener;
    }
    if (listen.args.size() == 1) {
        const std::string& path = listen.args[0];
        if (!path.starts_with('/')) throw UserError(path + ": is no absolute path");
        const auto unlinks = listen.unlink ? UnlinksSocket::Yes : UnlinksSocket::No;
        listener.sockets.push_back({listen_at_path(path, unlinks)});
        listener.path = path;
        return listener;
    }
    const auto port = parse_number(listen.args[1], 0, 65535);
    if (!port) throw UserError(listen.args[1] + ": is no port");
    auto sockets = listen_at(listen.args[0], static_cast<unsigned>(*port), ListenHost::Numbers);
    listener.port = local_address(sockets.front().get()).port();
    listener.place = place_text({listen.args[0], std::to_string(listener.port)});
    for (Fd& socket : sockets)
        listener.sockets.push_back({std::move(socket)});
    return listener;
}

void ForwardListeners::watch(Listener& listener) {
    for (Socket& socket : listener.sockets) {
        socket.watch = loop_.watch(
            "forward: new connections for the client", socket.fd.get(),
            [this] { return may_accept() ? short{POLLIN} : short{0}; },
            [this, &listener, fd = socket.fd.get()](short) { accept(listener, fd); });
    }
}

bool ForwardListeners::may_accept() const {
    return paused_until_ == EventLoop::kNever && waiting_.size() < kMaxWaiting &&
           waiting_.size() < room_();
}

void ForwardListeners::accept(const Listener& listener, int socket) {
    try {
        std::optional<Fd> accepted = accept_connection(socket);
        if (!accepted) return;
        at_close(accepted->get(), AtClose::Reset);
        const std::string from = address_of_peer(accepted->get());
        Waiting waiting{listener.listen.listener, {std::move(*accepted), from, listener.place}};
        announce(++last_connection_, waiting);
        waiting_.emplace(last_connection_, std::move(waiting));
    } catch (const SysError& error) {
        // Without a descriptor for the connection, poll(2) would report it again at once.
        log::info("forward: " + listener.place + ": " + error.what());
        paused_until_ = EventLoop::Clock::now() + kPauseWithoutDescriptors;
    }
}

void ForwardListeners::announce(std::uint64_t connection, const Waiting& waiting) {
    link_.send(msg::Incoming{waiting.listener, connection, waiting.accepted.from});
}

void ForwardListeners::announce_again() {
    for (const auto& [connection, waiting] : waiting_)
        announce(connection, waiting);
}

std::optional<ForwardListeners::Accepted> ForwardListeners::take(const std::string& connection) {
    const auto number = parse_number(connection, 1, INT64_MAX);
    const auto found = waiting_.find(static_cast<std::uint64_t>(number.value_or(0)));
    if (found == waiting_.end()) return std::nullopt;
    Accepted accepted = std::move(found->second.accepted);
    waiting_.erase(found);
    return accepted;
}

void ForwardListeners::close(const msg::Unlisten& unlisten) {
    const auto found = listeners_.find(unlisten.listener);
    if (found != listeners_.end()) end(found);
}

// Connections that wait for the client are reset with their listener.
std::map<ListenerId, ForwardListeners::Listener>::iterator ForwardListeners::end(
    std::map<ListenerId, Listener>::iterator entry) {
    std::erase_if(waiting_,
                  [entry](const auto& waiting) { return waiting.second.listener == entry->first; });
    if (!entry->second.path.empty()) (void)::unlink(entry->second.path.c_str());
    return listeners_.erase(entry);
}

std::string ForwardListeners::agent_path() const {
    const auto found = std::find_if(listeners_.begin(), listeners_.end(),
                                    [](const auto& entry) { return entry.second.listen.agent; });
    return found != listeners_.end() ? found->second.path : "";
}

void ForwardListeners::end_all() {
    for (auto next = listeners_.begin(); next != listeners_.end();)
        next = end(next);
}

void ForwardListeners::end_expired(const ExpiresAt& expires_at, Time now) {
    for (auto next = listeners_.begin(); next != listeners_.end();) {
        const bool is_late = now >= expires_at(next->second.listen.on_disconnect);
        next = is_late ? end(next) : std::next(next);
    }
}

EventLoop::Time ForwardListeners::next_expiry(const ExpiresAt& expires_at) const {
    Time next = EventLoop::kNever;
    for (const auto& [id, listener] : listeners_)
        next = std::min(next, expires_at(listener.listen.on_disconnect));
    return next;
}

void ForwardListeners::tick(Time now) {
    if (now >= paused_until_) paused_until_ = EventLoop::kNever;
}

}  // namespace frsh
