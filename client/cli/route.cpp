#include "client/cli/route.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/user.hpp"

#include <algorithm>

#include <sys/socket.h>

namespace frsh {
namespace {

HostKeyPolicy resolve_host_key(const ClientOptions& options, const Target& target) {
    const ConnectionSettings& settings = options.settings;
    const bool may_ask =
        !settings.refuse_unknown.value_or(false) && !settings.batch_mode.value_or(false);
    HostKeyPolicy policy;
    using UnknownHost = HostKeyPolicy::UnknownHost;
    policy.unknown_host = settings.accept_new.value_or(false) || options.trust ? UnknownHost::Trust
                          : may_ask                                            ? UnknownHost::Ask
                                    : UnknownHost::Refuse;
    policy.expected_fingerprint = options.expected_fingerprint;
    policy.must_record = options.trust;
    const auto& user_files = settings.user_known_hosts;
    if (!user_files) {
        policy.own_file = config_folder() + "/known_hosts";
    } else if (!user_files->empty()) {
        // UserKnownHostsFile=/dev/null is how scripts ask ssh to record nothing.
        const std::string path = expand_path(user_files->front(), target);
        if (path != "/dev/null") policy.own_file = path;
    }
    const auto add_all = [&](const std::optional<std::vector<std::string>>& files,
                             const std::string& usual) {
        if (!files) policy.other_files.push_back(usual);
        for (const std::string& path : files.value_or(std::vector<std::string>()))
            policy.other_files.push_back(expand_path(path, target));
    };
    add_all(user_files, home_folder() + "/.ssh/known_hosts");
    add_all(settings.global_known_hosts, "/etc/ssh/ssh_known_hosts");
    return policy;
}

LoginKeys resolve_keys(const ConnectionSettings& settings, const Target& target) {
    LoginKeys keys;
    for (const std::string& path : settings.identities)
        keys.named.push_back(expand_path(path, target));
    keys.first = settings.first_identities;
    for (const std::string& path : settings.certificates)
        keys.certificates.push_back(expand_path(path, target));
    keys.is_files_only = !keys.named.empty() || settings.identities_only.value_or(false);
    keys.agent = settings.identity_agent;
    keys.may_ask = !settings.batch_mode.value_or(false);
    return keys;
}

// Throws UserError for an unknown %-token.
std::string expand_command(const std::string& keyword, const std::string& command,
                           const Target& target) {
    auto expanded = expand_tokens(command, tokens_of(target));
    if (!expanded) {
        throw UserError(keyword + ": '" + escape_controls(command) + "' has an unknown %-token");
    }
    return *expanded;
}

std::optional<std::string> resolve_proxy(const ConnectionSettings& settings, const Target& target) {
    if (!settings.proxy_command || *settings.proxy_command == "none") return std::nullopt;
    return expand_command("ProxyCommand", *settings.proxy_command, target);
}

}  // namespace

int socket_family(AddressFamily family) {
    return family == AddressFamily::V4   ? AF_INET
           : family == AddressFamily::V6 ? AF_INET6
                                         : AF_UNSPEC;
}

TlsRoute resolve_tls_route(const ClientOptions& options) {
    const ConnectionSettings& settings = options.settings;
    TlsRoute route;
    route.target = resolve_target(options);
    route.proxy_command = resolve_proxy(settings, route.target);
    if (settings.jump) route.jump = resolve_jump(*settings.jump, route.target, settings);
    route.hop_report = options.hop_report;
    route.family = settings.family.value_or(AddressFamily::Any);
    route.bind_address = settings.bind_address.value_or("");
    route.connection_attempts = std::max(1U, settings.connection_attempts.value_or(1));
    route.keep_alive = keep_alive_of(settings);
    route.host_key = resolve_host_key(options, route.target);
    route.keys = resolve_keys(settings, route.target);
    return route;
}

std::optional<std::string> resolve_local_command(const ClientOptions& options) {
    if (!options.local_command) return std::nullopt;
    return expand_command("LocalCommand", *options.local_command, resolve_target(options));
}

Route resolve_route(const ClientOptions& options) {
    constexpr std::string_view kUnixPrefix = "unix:";
    Route route;
    route.connect_timeout = connect_timeout_of(options.settings);
    if (options.settings.alive_interval.value_or(std::chrono::seconds(0)).count() > 0) {
        route.ping = keep_alive_of(options.settings);
    }
    if (options.settings.via) {
        route.way = ViaRoute{*options.settings.via};
    } else if (options.target == "local") {
        route.way = LocalRoute{};
    } else if (options.target.starts_with(kUnixPrefix)) {
        route.way = UnixRoute{options.target.substr(kUnixPrefix.size())};
    } else if (options.plaintext) {
        route.way = PlaintextRoute{resolve_target(options).where};
    } else {
        route.way = resolve_tls_route(options);
    }
    return route;
}

}  // namespace frsh
