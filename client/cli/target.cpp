#include "client/cli/target.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::chrono::seconds kDefaultConnectTimeout{10};

std::string own_host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

std::string expand(const std::string& text, const SshTokens& tokens) {
    auto expanded = expand_tokens(text, tokens);
    if (!expanded) throw UserError("'" + escape_controls(text) + "': has an unknown %-token");
    return *expanded;
}

// Returns true for an IPv6 address, also with a zone ("fe80::1%eth0"): its "%" begins no token.
bool is_literal_v6(const std::string& text) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), &address) == 1 &&
           text.find("%%") == std::string::npos;
}

// Returns the host to connect to. ssh's tokens mean something only in HostName; the words that the
// user typed are taken as they are.
std::string host_of(const ConnectionSettings& settings, const std::string& asked) {
    if (!settings.address) return asked;
    if (is_literal_v6(*settings.address)) return *settings.address;
    return expand(*settings.address, {{'h', asked}});
}

const char* word_of(bool is_on) {
    return is_on ? "yes" : "no";
}

const char* word_of(std::optional<AddressFamily> family) {
    return family == AddressFamily::V4 ? "inet" : family == AddressFamily::V6 ? "inet6" : "any";
}

const char* strictness(const ConnectionSettings& settings) {
    if (settings.accept_new.value_or(false)) return "accept-new";
    return settings.refuse_unknown.value_or(false) ? "true" : "ask";
}

const char* word_of(Tty tty) {
    constexpr const char* kWords[] = {"auto", "false", "true", "force"};
    return kWords[static_cast<int>(tty)];
}

const char* word_of(log::Level level) {
    constexpr const char* kWords[] = {"QUIET", "ERROR", "INFO", "DEBUG1", "DEBUG2"};
    return kWords[static_cast<int>(level)];
}

}  // namespace

std::chrono::milliseconds connect_timeout_of(const ConnectionSettings& settings) {
    return settings.connect_timeout.value_or(kDefaultConnectTimeout);
}

KeepAlive keep_alive_of(const ConnectionSettings& settings) {
    KeepAlive keep_alive;
    // In ssh, 0 switches the probes off. frsh ignores 0 and always notices a dead peer.
    if (settings.alive_interval && settings.alive_interval->count() > 0) {
        keep_alive.interval = *settings.alive_interval;
        keep_alive.count = std::max(1U, settings.alive_count.value_or(keep_alive.count));
    }
    return keep_alive;
}

Target resolve_target(const ClientOptions& options) {
    Target target;
    const ConnectionSettings& settings = options.settings;
    target.asked = parse_tcp_target(options.target).value_or(TcpTarget{}).host;
    target.where = place_of(options.target, settings);
    target.where.host = host_of(settings, target.asked);
    target.user = settings.user ? *settings.user : current_user().name;
    target.name = escape_controls(target.user + "@" + target.where.host) + ":" +
                  std::to_string(target.where.port);
    target.known_as = target.where;
    if (settings.host_key_alias) target.known_as.host = *settings.host_key_alias;
    for (const std::string& host : {target.asked, target.where.host, target.known_as.host})
        require_safe_host(host);
    require_safe_user(target.user);
    return target;
}

SshTokens tokens_of(const Target& target) {
    const User own = current_user();
    const std::string host = own_host_name();
    return {{'h', target.where.host},
            {'p', std::to_string(target.where.port)},
            {'r', target.user},
            {'n', target.asked},
            {'k', target.known_as.host},
            {'u', own.name},
            {'i', std::to_string(own.uid)},
            {'d', home_folder()},
            {'l', host},
            {'L', host.substr(0, host.find('.'))}};
}

std::string expand_path(const std::string& path, const Target& target) {
    if (path.find('%') == std::string::npos) return expand_home(path);
    return expand_home(expand(path, tokens_of(target)));
}

std::string describe_config(const ClientOptions& options) {
    const Target target = resolve_target(options);
    const ConnectionSettings& settings = options.settings;
    const bool is_batch = settings.batch_mode.value_or(false);
    const bool is_named_only = settings.identities_only.value_or(false);
    std::string text;
    const auto say = [&text](const char* key, const std::string& value) {
        if (!value.empty()) text.append(key).append(" ").append(value).append("\n");
    };
    const auto say_all = [&](const char* key, const std::vector<std::string>& values) {
        std::string line;
        for (const std::string& value : values)
            line += (line.empty() ? "" : " ") + value;
        say(key, line.empty() ? "none" : line);
    };
    say("host", options.target);
    say("user", target.user);
    say("hostname", to_lower(target.where.host));
    say("port", std::to_string(target.where.port));
    say("addressfamily", word_of(settings.family));
    say("batchmode", word_of(is_batch));
    say("identitiesonly", word_of(is_named_only));
    say("requesttty", word_of(options.tty));
    say("sessiontype", options.no_command ? "none" : options.subsystem ? "subsystem" : "default");
    say("stdinnull", word_of(options.stdin_null));
    say("forkafterauthentication", word_of(options.background));
    say("stricthostkeychecking", strictness(settings));
    say("connectionattempts", std::to_string(settings.connection_attempts.value_or(1)));
    say("connecttimeout",
        std::to_string(
            std::chrono::ceil<std::chrono::seconds>(connect_timeout_of(settings)).count()));
    say("serveraliveinterval", std::to_string(keep_alive_of(settings).interval.count()));
    say("serveralivecountmax", std::to_string(keep_alive_of(settings).count));
    say("bindaddress", settings.bind_address.value_or(""));
    say("escapechar", options.escape ? std::string(1, *options.escape) : "none");
    say("hostkeyalias", settings.host_key_alias.value_or(""));
    say("identityagent", settings.identity_agent.value_or(""));
    say("loglevel", word_of(options.log_level));
    say("proxycommand", settings.proxy_command.value_or(""));
    say("proxyjump", settings.jump.value_or(JumpWish{}).hops);
    for (const std::string& path : settings.identities)
        say("identityfile", path);
    for (const std::string& path : settings.certificates)
        say("certificatefile", path);
    if (settings.user_known_hosts) say_all("userknownhostsfile", *settings.user_known_hosts);
    if (settings.global_known_hosts) say_all("globalknownhostsfile", *settings.global_known_hosts);
    for (const std::string& pattern : options.send_env)
        say("sendenv", pattern);
    for (const std::string& entry : options.set_env)
        say("setenv", entry);
    return text;
}

}  // namespace frsh
