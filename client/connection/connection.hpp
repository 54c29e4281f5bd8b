// A connection to a server, before the first frame: the transport, the processes and keys behind
// it, and the login that must be sent first. connect_to() makes one, ServerConnection uses it.
#pragma once

#include "client/connection/child_tree.hpp"
#include "client/run/run_record.hpp"
#include "common/net/socket.hpp"
#include "common/net/tls.hpp"
#include "common/net/transport.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/wait.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

// The login of a TLS connection. It is sent before all else, in one flight with the first requests.
struct Login {
    msg::Auth auth;
    std::string name;      // "alice@host:7722", for a message about a refusal.
    std::string tried;     // The key that was used, for the same message.
    std::string key = {};  // Its fingerprint.
    std::function<void()> on_accepted = {};
    std::function<void()> on_refused = {};
};

struct Connection;
// Connects once more to the same server. Blocks up to the limit. Throws as connect_to() does, and
// WaitCanceled. May be called from any thread, one call at a time.
using Connector = std::function<Connection(const WaitLimit& limit)>;

struct Connection {
    std::unique_ptr<TlsContext> tls_context = {};  // Before the transport, which uses it.
    std::unique_ptr<Transport> transport = {};
    // The local server, or the command of --via or ProxyCommand. It ends when the connection ends.
    std::optional<MarkedChild> child = {};
    std::optional<Login> login = {};
    EventLoop::Time hello_deadline = EventLoop::kNever;  // For the server's hello.
    // Run on this machine once the server has accepted the login.
    std::optional<std::string> local_command = {};
    std::optional<TlsRecord> tls = {};  // Absent without TLS.
    // For TLS over a socket of the network: when a silent peer counts as dead.
    std::optional<KeepAlive> keep_alive = {};
    pid_t holder = 0;  // The link holder at the other end, if there is one.
    // On request: how often to send a ping, and how many unanswered ones mean a dead server.
    std::optional<KeepAlive> ping = {};
    Connector connector = {};  // Empty if there is no way to reconnect.
};

}  // namespace frsh
