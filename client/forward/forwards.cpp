#include "client/forward/forwards.hpp"

#include "client/connection/stage_error.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr int kPortAttempts = 10;
// Enough for kMaxForwards connections and for what else the client has open.
constexpr rlim_t kDescriptors = kMaxForwards + 256;

void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= kDescriptors) return;
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptors);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// Returns false if no interface of this machine has the address, or the kernel lacks its family.
bool is_local(Address address) {
    const Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    return socket.is_open() && ::bind(socket.get(), address.get(), address.size) == 0;
}

// Returns the addresses of both families that this machine has.
std::vector<Address> pair_of(const char* v4, const char* v6, unsigned port) {
    std::vector<Address> found;
    for (const char* const host : {v4, v6}) {
        if (!is_local(resolve({host, 0}, true).front())) continue;
        found.push_back(resolve({host, port}, true).front());
    }
    return found;
}

std::vector<Address> addresses_of(const ForwardSpec& spec, bool is_gateway, unsigned port) {
    const bool is_default = !spec.bind || *spec.bind == "localhost";
    if (is_default && !(is_gateway && !spec.bind)) return pair_of("127.0.0.1", "::1", port);
    if (!spec.bind || spec.bind->empty() || *spec.bind == "*") {
        return pair_of("0.0.0.0", "::", port);
    }
    return resolve({*spec.bind, port}, true);
}

std::vector<Fd> listen_to_all(const ForwardSpec& spec, bool is_gateway) {
    for (int attempt = 1;; ++attempt) {
        std::vector<Fd> sockets;
        unsigned port = spec.port;
        try {
            for (const Address& address : addresses_of(spec, is_gateway, spec.port)) {
                // All addresses get the port that the kernel chose for the first one.
                const HostPort place{address.host_text(), port};
                sockets.push_back(listen_tcp(resolve(place, true).front()));
                port = local_address(sockets.back().get()).port();
            }
            if (sockets.empty()) throw UserError("this machine has no such address");
            return sockets;
        } catch (const UserError&) {
            const bool may_retry = spec.port == 0 && !sockets.empty() && attempt < kPortAttempts;
            if (!may_retry) throw;
        }
    }
}

std::string name_of(const ForwardSpec& spec) {
    return spec.kind == ForwardSpec::Kind::Local ? "-L" : "-D";
}

}  // namespace

void announce_port(const ForwardSpec& spec, unsigned port) {
    std::string text = "Allocated port " + std::to_string(port) + " for ";
    text += spec.to.empty() ? "dynamic forward" : "local forward to " + destination_text(spec.to);
    log::error(escape_controls(text));
}

Forwards::Forwards(EventLoop& loop, const ClientOptions& options) : loop_(loop), options_(options) {
    if (options.settings.forwards.empty()) return;
    allow_many_descriptors();
    for (const std::string& text : options.settings.forwards) {
        const auto parsed = parse_forward(text);
        if (const auto* const why = std::get_if<std::string>(&parsed)) throw UserError(*why);
        bind(std::get<ForwardSpec>(parsed));
    }
}

Forwards::~Forwards() {
    for (const Listener& listener : listeners_) {
        if (!listener.spec.path.empty()) (void)::unlink(listener.spec.path.c_str());
    }
}

void Forwards::bind(const ForwardSpec& spec) {
    try {
        const unsigned port = listen(spec);
        if (spec.path.empty() && spec.port == 0) announce_port(spec, port);
    } catch (const std::exception& error) {
        const std::string why = name_of(spec) + ": " + error.what();
        if (options_.settings.exit_on_forward_failure.value_or(false)) throw UserError(why);
        log::error(why);
    }
}

unsigned Forwards::listen(const ForwardSpec& spec) {
    if (!spec.path.empty()) {
        listeners_.push_back({spec, listen_unix(spec.path)});
        return 0;
    }
    std::vector<Fd> sockets = listen_to_all(spec, options_.settings.gateway_ports.value_or(false));
    const unsigned port = local_address(sockets.front().get()).port();
    for (Fd& socket : sockets)
        listeners_.push_back({spec, std::move(socket)});
    return port;
}

void Forwards::start(ServerConnection& server) {
    server_ = &server;
    for (Listener& listener : listeners_)
        watch(listener);
}

void Forwards::watch(Listener& listener) {
    listener.watch = loop_.watch(
        "forward: new connections", listener.socket.get(),
        [this] { return may_accept() ? short{POLLIN} : short{0}; },
        [this, &listener](short) { accept(listener); });
}

unsigned Forwards::add(const ForwardSpec& spec) {
    allow_many_descriptors();
    const unsigned port = listen(spec);
    for (Listener& listener : listeners_) {
        if (!listener.watch) watch(listener);
    }
    return port;
}

bool Forwards::remove(const ForwardSpec& spec) {
    const std::size_t removed =
        listeners_.remove_if([&](const Listener& listener) { return listener.spec == spec; });
    if (removed != 0 && !spec.path.empty()) (void)::unlink(spec.path.c_str());
    return removed != 0;
}

bool Forwards::may_accept() const {
    return server_->server() && server_->is_up() && connections_.size() < kMaxForwards &&
           !is_out_of_descriptors_;
}

void Forwards::accept(const Listener& listener) {
    try {
        std::optional<Fd> socket = accept_connection(listener.socket.get());
        if (!socket) return;
        if (listener.spec.path.empty()) tune_tcp(socket->get());
        OnDisconnect wish = on_disconnect_of(options_);
        // A connection cannot be kept without its client.
        if (wish.kind == OnDisconnect::Kind::Keep) wish.kind = OnDisconnect::Kind::Grace;
        connections_.push_back(std::make_unique<ForwardedConnection>(
            loop_, *server_, *std::move(socket), listener.spec.to, wish));
    } catch (const SysError& error) {
        log::error(name_of(listener.spec) + ": " + error.what());
        is_out_of_descriptors_ = true;
    }
}

void Forwards::progress() {
    if (server_ == nullptr || (is_empty() && is_idle())) return;
    if (!is_empty() && server_->is_known_to_lack("connect")) {
        throw StageError("server", name_of(listeners_.front().spec) +
                                       ": this server makes no connections for its clients");
    }
    for (const auto& connection : connections_) {
        connection->progress();
        if (server_->is_down()) connection->reset();
    }
    const std::size_t ended =
        std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
    if (ended > 0) is_out_of_descriptors_ = false;
}

}  // namespace frsh
