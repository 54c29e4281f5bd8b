#include "client/cli/connection_settings.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

namespace frsh {
namespace {

constexpr unsigned kNoPort = 65536;

}  // namespace

std::optional<OnDisconnect> parse_on_disconnect(std::string_view text) {
    constexpr std::string_view kGrace = "grace:";
    if (text == "kill") return OnDisconnect{};
    if (text == "keep") return OnDisconnect{OnDisconnect::Kind::Keep, kUsualGrace};
    if (!text.starts_with(kGrace)) return std::nullopt;
    const auto time = parse_duration(text.substr(kGrace.size()));
    if (!time) return std::nullopt;
    return OnDisconnect{OnDisconnect::Kind::Grace, *time};
}

std::optional<Linger> parse_linger(std::string_view text) {
    if (text == "inf") return Linger{};
    const auto time = parse_duration(text);
    if (!time) return std::nullopt;
    return Linger{time};
}

void fill_in(ConnectionSettings& settings, const ConnectionSettings& more) {
    if (settings.address.empty()) settings.address = more.address;
    if (settings.port == 0) settings.port = more.port;
    if (settings.user.empty()) settings.user = more.user;
    if (settings.identities.empty()) settings.identities = more.identities;
    if (settings.first_identities.empty()) settings.first_identities = more.first_identities;
    if (settings.via.empty()) settings.via = more.via;
    if (settings.ssh_config.empty()) settings.ssh_config = more.ssh_config;
    if (!settings.accept_new) settings.accept_new = more.accept_new;
    if (!settings.on_disconnect) settings.on_disconnect = more.on_disconnect;
    if (!settings.connect_timeout) settings.connect_timeout = more.connect_timeout;
    if (!settings.linger) settings.linger = more.linger;
    if (!settings.family) settings.family = more.family;
    if (settings.bind_address.empty()) settings.bind_address = more.bind_address;
    if (settings.proxy_command.empty()) settings.proxy_command = more.proxy_command;
    if (!settings.connection_attempts) settings.connection_attempts = more.connection_attempts;
    if (!settings.alive_interval) settings.alive_interval = more.alive_interval;
    if (!settings.alive_count) settings.alive_count = more.alive_count;
    if (!settings.identities_only) settings.identities_only = more.identities_only;
    if (settings.identity_agent.empty()) settings.identity_agent = more.identity_agent;
    if (!settings.batch_mode) settings.batch_mode = more.batch_mode;
    if (!settings.refuse_unknown) settings.refuse_unknown = more.refuse_unknown;
    if (settings.host_key_alias.empty()) settings.host_key_alias = more.host_key_alias;
    if (!settings.user_known_hosts) settings.user_known_hosts = more.user_known_hosts;
    if (!settings.global_known_hosts) settings.global_known_hosts = more.global_known_hosts;
}

bool is_host(std::string_view target) {
    return target != "local" && !target.starts_with("unix:");
}

std::optional<TcpTarget> parse_tcp_target(std::string_view target) {
    if (!is_host(target)) return std::nullopt;
    TcpTarget parsed;
    std::string_view text = target;
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
        parsed.said.user = text.substr(0, at);
        text.remove_prefix(at + 1);
    }
    HostPort where = parse_host_port(text, BarePort::Refused, "", kNoPort);
    if (where.port == 0) throw UserError("'" + escape_controls(target) + "': nobody is on port 0");
    if (where.port != kNoPort) parsed.said.port = where.port;
    parsed.host = std::move(where.host);
    return parsed;
}

HostPort place_of(std::string_view target, const ConnectionSettings& settings) {
    HostPort where;
    where.host = settings.address;
    if (where.host.empty()) where.host = parse_tcp_target(target).value_or(TcpTarget{}).host;
    if (settings.port != 0) where.port = settings.port;
    return where;
}

}  // namespace frsh
