// How one target is reached, resolved once: options, configuration and built-in defaults are
// merged, %-tokens and "~/" are expanded, names are checked. A reconnect uses the same Route.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/jump.hpp"
#include "client/cli/target.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// The files with known host keys, and what to do with an unknown host.
struct HostKeyPolicy {
    enum class UnknownHost { Ask, Trust, Refuse };
    UnknownHost unknown_host = UnknownHost::Ask;
    std::string expected_fingerprint;      // From `--trust TARGET FINGERPRINT`; empty: any.
    std::string own_file;                  // New keys are added here; empty: nowhere.
    bool must_record = false;              // --trust: a key that cannot be added is an error.
    std::vector<std::string> other_files;  // These are read and never written.
};

// Which keys the login may use, and in which order they are tried.
struct LoginKeys {
    std::vector<std::string>
        named;  // Key files given with -i. If there is one, no others are used.
    std::vector<std::string> first;         // Tried before the usual key files, if they exist.
    std::vector<std::string> certificates;  // Files; each counts with a key that is there.
    bool is_files_only = false;             // Use no key that only the agent has.
    std::optional<std::string> agent;       // A socket, "SSH_AUTH_SOCK" (also if absent) or "none".
    bool may_ask = true;                    // The user may be asked for a passphrase or a touch.
};

// TCP or a proxy command, TLS above it, then the login.
struct TlsRoute {
    Target target;
    std::optional<std::string> proxy_command;  // Tokens are expanded. Absent: TCP.
    std::optional<JumpCommand> jump;           // Used like proxy_command, without a shell.
    AddressFamily family = AddressFamily::Any;
    std::string bind_address;  // The local address; empty: the kernel chooses one.
    unsigned connection_attempts = 1;
    KeepAlive keep_alive;
    HostKeyPolicy host_key;
    LoginKeys keys;
    int hop_report = -1;  // Lent; where this process reports as a hop (HopReporter).
};
// A command, run by sh. Its stdin and stdout are the connection.
struct ViaRoute {
    std::string command;
};
// The server on this machine: the one that listens in the runtime folder, else a child process.
struct LocalRoute {};
struct UnixRoute {
    std::string path;
};
struct PlaintextRoute {
    HostPort where;
};

struct Route {
    std::variant<ViaRoute, LocalRoute, UnixRoute, PlaintextRoute, TlsRoute> way;
    std::chrono::milliseconds connect_timeout;  // 0: no limit.
    std::optional<KeepAlive> ping = {};         // Only if an interval was given.
};

// Returns AF_INET, AF_INET6 or AF_UNSPEC.
[[nodiscard]] int socket_family(AddressFamily family);
// Throws UserError for an unsafe host name or an unknown %-token.
[[nodiscard]] Route resolve_route(const ClientOptions& options);
[[nodiscard]] TlsRoute resolve_tls_route(const ClientOptions& options);
// Returns LocalCommand with its tokens expanded; nothing if there is none. Throws as above.
[[nodiscard]] std::optional<std::string> resolve_local_command(const ClientOptions& options);
}  // namespace frsh
