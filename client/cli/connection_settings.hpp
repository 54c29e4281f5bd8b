// How a target is reached, and as whom: one plain struct that everybody fills in who has a say.
//
// The order is who comes first: the command line, the words of the target, frsh's own
// configuration, ssh's. Nobody overwrites what was said before him, and what nobody has said is
// told from what somebody has: the built-in values come last, where the settings are used.
#pragma once

#include "common/net/address.hpp"
#include "common/proto/message.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// How long to wait for somebody who holds a stream open after the command has ended.
struct Linger {
    std::optional<std::chrono::milliseconds> time;  // Nothing: for ever.
};
// A duration, or "inf".
[[nodiscard]] std::optional<Linger> parse_linger(std::string_view text);

// How long a client tries to get back to what waits for it, or goes on meanwhile, unless it was
// told.
inline constexpr std::chrono::seconds kUsualGrace{30};

// "kill", "keep" or "grace:DUR".
[[nodiscard]] std::optional<OnDisconnect> parse_on_disconnect(std::string_view text);

enum class AddressFamily { Any, V4, V6 };

struct ConnectionSettings {
    std::string address;                  // What to look up; empty: the target's own name.
    unsigned port = 0;                    // 0: not said.
    std::string user;                     // Empty: not said.
    std::vector<std::string> identities;  // These key files and no others; empty: the usual ones.
    std::vector<std::string> first_identities;  // Before the usual ones, where they are there.
    std::string via;         // The command whose stdin and stdout are the connection.
    std::string ssh_config;  // The file for `ssh -G`, or "none"; empty: ssh's own.
    std::optional<bool> accept_new;
    std::optional<std::chrono::milliseconds> connect_timeout;  // 0: no limit.
    std::optional<Linger> linger;
    std::optional<OnDisconnect> on_disconnect;

    std::optional<AddressFamily> family;
    std::string bind_address;   // The own end's.
    std::string proxy_command;  // Its stdin and stdout lead to the server; "none".
    std::optional<unsigned> connection_attempts;
    // The peer's kernel is asked this often, and is dead when so many times pass in silence.
    std::optional<std::chrono::seconds> alive_interval;
    std::optional<unsigned> alive_count;

    std::optional<bool> identities_only;  // Nothing that only an agent has.
    std::string identity_agent;           // A socket; empty: SSH_AUTH_SOCK's; "none".
    std::optional<bool> batch_mode;       // Nobody can be asked.
    std::optional<bool> refuse_unknown;   // A host that is not known is not asked about, either.
    std::string host_key_alias;           // The host's name in known_hosts.
    // Files, the first one to be written to; none if empty.
    std::optional<std::vector<std::string>> user_known_hosts;
    std::optional<std::vector<std::string>> global_known_hosts;
};

inline constexpr std::chrono::milliseconds kDefaultConnectTimeout{10'000};

// Takes over from `more` what `settings` does not say. A list is one thing: it is taken whole.
void fill_in(ConnectionSettings& settings, const ConnectionSettings& more);

// "local" and "unix:PATH" are no hosts.
[[nodiscard]] bool is_host(std::string_view target);

// "[user@]host[:port]"; nothing for a target that is reached without TCP. Throws UserError.
struct TcpTarget {
    std::string host;
    ConnectionSettings said;  // User and port, as far as they are in it.
};
[[nodiscard]] std::optional<TcpTarget> parse_tcp_target(std::string_view target);

// Where to connect to for such a target. Throws UserError.
[[nodiscard]] HostPort place_of(std::string_view target, const ConnectionSettings& settings);

}  // namespace frsh
