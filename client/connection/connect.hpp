// From a target to a connection: a socket, or a server that we start as our child.
#pragma once

#include "client/cli/options.hpp"
#include "common/net/socket.hpp"
#include "common/net/tls.hpp"
#include "common/net/transport.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

struct Connection;
// The same way to the same server once more, within this time. Throws as connect_to() does. May be
// called from any thread.
using Connector = std::function<Connection(std::chrono::milliseconds patience)>;

struct Connection {
    std::unique_ptr<Transport> transport = {};
    // The server, or --via's command; ends when the connection does.
    std::optional<Spawned> child = {};
    // What the transport was made from; OpenSSL counts its users, so the order does not matter.
    std::unique_ptr<TlsContext> tls_context = {};

    // Where there is a login: to be sent before anything else, in the same flight.
    std::optional<msg::Auth> auth = {};
    EventLoop::Time login_deadline = EventLoop::kNever;  // For the server's answer.
    std::string login_name = {};                         // "alice@host:7722",
    std::string login_tried = {};                        // and the key, for when it is refused.
    std::function<void()> on_login = {};
    std::function<void()> on_login_refused = {};
    KeepAlive keep_alive = {};

    Connector connector = {};  // Empty: there is no second time.
};

// A command, run by sh, whose stdin and stdout are one socket: our end of it.
struct Via {
    Fd socket;
    Spawned child;
};
[[nodiscard]] Via start_via(const std::string& command);

// Throws UserError or SysError, ready to be shown.
[[nodiscard]] Connection connect_to(const ClientOptions& options);

}  // namespace frsh
