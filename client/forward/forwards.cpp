#include "client/forward/forwards.hpp"

#include "client/connection/stage_error.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/address.hpp"
#include "common/net/listen_places.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/wait.hpp"

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

// Enough for kMaxForwards connections and for what else the client has open.
constexpr rlim_t kDescriptors = kMaxForwards + 256;

void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= kDescriptors) return;
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptors);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<Fd> listen_to_all(const ForwardSpec& spec, bool is_gateway) {
    const std::string host = spec.bind.value_or(is_gateway ? "" : "localhost");
    return listen_at(host, spec.port, ListenHost::Names);
}

}  // namespace

Forwards::Forwards(EventLoop& loop, const ClientOptions& options)
    : loop_(loop), options_(options), remote_(loop, options), agent_(loop, options) {
    if (options.settings.forwards.empty()) return;
    allow_many_descriptors();
    for (const std::string& text : options.settings.forwards) {
        const auto parsed = parse_forward(text);
        if (const auto* const why = std::get_if<std::string>(&parsed)) throw UserError(*why);
        const auto& spec = std::get<ForwardSpec>(parsed);
        spec.kind == ForwardSpec::Kind::Remote ? remote_.add(spec) : bind(spec);
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
        const std::string why = std::string(option_of(spec.kind)) + ": " + error.what();
        if (options_.settings.exit_on_forward_failure.value_or(false)) throw UserError(why);
        log::error(why);
    }
}

unsigned Forwards::listen(const ForwardSpec& spec) {
    if (!spec.path.empty()) {
        const bool unlinks = options_.settings.unlinks_sockets.value_or(false);
        listeners_.push_back(
            {spec, listen_at_path(spec.path, unlinks ? UnlinksSocket::Yes : UnlinksSocket::No,
                                  options_.settings.socket_mask.value_or(kUsualSocketMask))});
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
    remote_.start(server);
    agent_.start(server);
    for (Listener& listener : listeners_)
        watch(listener);
}

void Forwards::await_required(int signals) {
    if (!options_.settings.exit_on_forward_failure.value_or(false)) return;
    bool is_interrupted = false;
    const auto watch = loop_.watch(
        "signals: to leave before the ports are open", signals, [] { return short{POLLIN}; },
        [&](short) { is_interrupted = true; });
    while (!is_ready() && !server_->is_down()) {
        server_->turn();
        progress();
        if (is_interrupted) throw Interrupted();
    }
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
    if (spec.kind == ForwardSpec::Kind::Remote) return remote_.remove(spec);
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
        connections_.push_back(std::make_unique<ForwardedConnection>(
            loop_, *server_, *std::move(socket), listener.spec.to, forward_grace(options_)));
    } catch (const SysError& error) {
        log::error(std::string(option_of(listener.spec.kind)) + ": " + error.what());
        is_out_of_descriptors_ = true;
    }
}

void Forwards::progress() {
    remote_.progress();
    agent_.progress();
    if (server_ == nullptr || (listeners_.empty() && connections_.empty())) return;
    if (!listeners_.empty() && server_->is_known_to_lack("connect")) {
        throw StageError("server", std::string(option_of(listeners_.front().spec.kind)) +
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
