// The settings of a connection as one source gives them; each is optional.
//
// There are four sources: the command line, the text of the target, config.toml, and ssh's
// configuration. fill_in() merges them; the earlier source wins. If no source has a value,
// resolve_target() (target.hpp) and resolve_route() (route.hpp) use the built-in default.
#pragma once

#include "common/net/address.hpp"
#include "common/proto/message.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// After a command has ended, other processes may still hold its streams open. The server waits for
// them this long. Nothing: without limit.
struct Linger {
    std::optional<std::chrono::milliseconds> time;
};
// Returns the value of "DURATION" or "inf"; nothing if `text` is neither.
[[nodiscard]] std::optional<Linger> parse_linger(std::string_view text);

// How long a link holder keeps a connection for further commands.
struct Sharing {
    std::chrono::milliseconds time{0};  // After the last use. 0: the connection is not shared.
    bool outlasts_logins = false;       // Also after all login sessions that used it have ended.
};
// Returns the value of "DURATION" or "stay:DURATION"; nothing if `text` is neither.
[[nodiscard]] std::optional<Sharing> parse_sharing(std::string_view text);

// The default grace period: how long a client tries to reconnect to a run.
inline constexpr std::chrono::seconds kDefaultGracePeriod{30};

// Returns the value of "kill", "keep" or "grace:DURATION"; nothing if `text` is none of them.
[[nodiscard]] std::optional<OnDisconnect> parse_on_disconnect(std::string_view text);

enum class AddressFamily { Any, V4, V6 };

// The jump hosts that lead to the target.
struct JumpWish {
    // "[user@]host[:port],...", the first hop first, with "sshd:" before a hop that has an sshd and
    // no frshd; "none" for no hops.
    std::string hops;
    // ssh named them: if no frshd answers on a hop, its sshd is used, and a port is that of sshd.
    bool may_be_sshd = false;
};

// Whether commands of the server may use the agent of this side. Ask: the user confirms each
// signature.
enum class AgentForwarding { No, Ask, Yes };

// A member without a value (a list: an empty one) was not given. No text is empty. The struct has
// more members than a class should: each is one option, and visit_fields() is the only list of
// them.
struct ConnectionSettings {
    std::optional<std::string> address;  // The host to connect to, in place of the target's name.
    std::optional<unsigned> port;
    std::optional<std::string> user;
    std::vector<std::string> identities;        // If given, only these key files are used.
    std::vector<std::string> first_identities;  // Tried before the usual key files, if they exist.
    std::vector<std::string> certificates;      // Files with certificates of these keys.
    std::optional<std::string> via;         // A command; its stdin and stdout are the connection.
    std::optional<std::string> ssh_config;  // The file for `ssh -G`, or "none".
    std::optional<bool> accept_new;         // Trust the key of an unknown host without a question.
    std::optional<std::chrono::milliseconds> connect_timeout;  // 0: no limit.
    std::optional<Linger> linger;
    std::optional<OnDisconnect> on_disconnect;
    std::vector<std::string> forwards;            // "L 8080:db:80"; see parse_forward().
    std::optional<bool> exit_on_forward_failure;  // A port that cannot be bound ends the client.
    std::optional<bool> gateway_ports;            // Without an address, listen on all.
    std::optional<bool> unlinks_sockets;          // Remove a socket file before listening there.
    std::optional<bool> clear_forwardings;        // Use no forwarding of any source.
    std::optional<unsigned> socket_mask;          // What the mode of a listening socket lacks.
    std::optional<AgentForwarding> agent;
    std::optional<bool> bashrc;  // A bash that runs a command reads ~/.bashrc, as under sshd.
    std::optional<Sharing> share;
    // ControlPath: where the link holder is found; "none". It replaces `share`.
    std::optional<std::string> control_path;
    std::optional<bool> control_master;  // Start the link holder if none is there.
    std::optional<std::chrono::seconds>
        control_persist;  // As Sharing::time; 0: not beyond its use.

    std::optional<AddressFamily> family;
    std::optional<std::string> bind_address;   // The local address to connect from.
    std::optional<std::string> proxy_command;  // Its stdin and stdout lead to the server; "none".
    std::optional<JumpWish> jump;              // It and proxy_command exclude each other.
    std::optional<unsigned> connection_attempts;
    // The local kernel probes a silent peer at this interval; after so many unanswered probes the
    // peer counts as dead.
    std::optional<std::chrono::seconds> alive_interval;
    std::optional<unsigned> alive_count;

    std::optional<bool> identities_only;        // Use no key that only the agent has.
    std::optional<std::string> identity_agent;  // A socket, "SSH_AUTH_SOCK" or "none".
    std::optional<bool> batch_mode;             // Never ask the user.
    std::optional<bool> refuse_unknown;         // Refuse an unknown host without a question.
    std::optional<std::string> host_key_alias;  // The host's name in known_hosts.
    // A new host key is added to the first file. An empty list: no file is read or written.
    std::optional<std::vector<std::string>> user_known_hosts;
    std::optional<std::vector<std::string>> global_known_hosts;
};

// Calls `visit` once for each member, with that member of each of `settings`.
template <typename Visit, typename... Settings>
void visit_fields(const Visit& visit, Settings&... settings) {
    visit(settings.address...);
    visit(settings.port...);
    visit(settings.user...);
    visit(settings.identities...);
    visit(settings.first_identities...);
    visit(settings.certificates...);
    visit(settings.via...);
    visit(settings.ssh_config...);
    visit(settings.accept_new...);
    visit(settings.connect_timeout...);
    visit(settings.linger...);
    visit(settings.on_disconnect...);
    visit(settings.forwards...);
    visit(settings.exit_on_forward_failure...);
    visit(settings.gateway_ports...);
    visit(settings.unlinks_sockets...);
    visit(settings.clear_forwardings...);
    visit(settings.socket_mask...);
    visit(settings.agent...);
    visit(settings.bashrc...);
    visit(settings.share...);
    visit(settings.control_path...);
    visit(settings.control_master...);
    visit(settings.control_persist...);
    visit(settings.family...);
    visit(settings.bind_address...);
    visit(settings.proxy_command...);
    visit(settings.jump...);
    visit(settings.connection_attempts...);
    visit(settings.alive_interval...);
    visit(settings.alive_count...);
    visit(settings.identities_only...);
    visit(settings.identity_agent...);
    visit(settings.batch_mode...);
    visit(settings.refuse_unknown...);
    visit(settings.host_key_alias...);
    visit(settings.user_known_hosts...);
    visit(settings.global_known_hosts...);
}

// ControlPersist=yes: a link holder that ends only on request.
inline constexpr std::chrono::hours kShareForEver{24 * 365 * 10};

// Returns true if ControlPath names a place.
[[nodiscard]] inline bool has_control_path(const ConnectionSettings& settings) {
    return settings.control_path && *settings.control_path != "none";
}

// Sets each member of `settings` that has no value to the value it has in `more`. A list is
// replaced as a whole, never merged.
void fill_in(ConnectionSettings& settings, const ConnectionSettings& more);

// Returns false for "local" and "unix:PATH".
[[nodiscard]] bool is_host(std::string_view target);

// "[user@]host[:port]".
struct TcpTarget {
    std::string host;
    ConnectionSettings settings;  // The user and the port, if the target names them.
};
// Returns nothing for a target that is_host() denies. Throws UserError for a malformed one.
[[nodiscard]] std::optional<TcpTarget> parse_tcp_target(std::string_view target);

// Returns the host and port to connect to. Throws UserError for a malformed target.
[[nodiscard]] HostPort place_of(std::string_view target, const ConnectionSettings& settings);

}  // namespace frsh
