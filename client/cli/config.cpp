#include "client/cli/config.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/cli/jump.hpp"
#include "client/cli/option_conflicts.hpp"
#include "client/cli/ssh_answer.hpp"
#include "client/cli/ssh_config.hpp"
#include "client/cli/ssh_names.hpp"
#include "client/cli/stdio_spec.hpp"
#include "common/base/config.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/trusted_file.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

namespace frsh {
namespace {

// Parses a default for all commands. Refuses "keep", which neither a prompt nor a terminal can use.
std::optional<OnDisconnect> parse_usual_on_disconnect(std::string_view text) {
    const auto wish = parse_on_disconnect(text);
    return wish && wish->kind == OnDisconnect::Kind::Keep ? std::nullopt : wish;
}

// Returns the text of a key; nothing if the key is absent or its text is empty.
std::optional<std::string> take_text(ConfigTable& table, std::string_view key) {
    std::string text;
    table.take(key, text);
    return text.empty() ? std::nullopt : std::optional(std::move(text));
}

// No file lets the server's commands sign without a question.
std::optional<AgentForwarding> parse_agent_wish(std::string_view text) {
    if (text == "ask") return AgentForwarding::Ask;
    if (text == "no") return AgentForwarding::No;
    return std::nullopt;
}

// Takes the keys that both [defaults] and [hosts.NAME] may have.
ConnectionSettings take_settings(ConfigTable& table) {
    ConnectionSettings settings;
    if (unsigned port = 0; table.take("port", port, 1, 65535), port != 0) settings.port = port;
    settings.user = take_text(table, "user");
    table.take("identity", settings.identities);
    settings.ssh_config = take_text(table, "ssh_config");
    if (auto hops = take_text(table, "jump")) settings.jump = JumpWish{*std::move(hops)};
    if (const auto why = settings.jump ? find_jump_error(settings.jump->hops) : std::nullopt) {
        throw UserError("config.toml: jump: " + *why);
    }
    table.take("accept_new", settings.accept_new);
    table.take("connect_timeout", settings.connect_timeout, parse_duration, "a duration");
    table.take("share", settings.share, parse_sharing, "\"60s\" or \"stay:60s\"");
    table.take("linger", settings.linger, parse_linger, "a duration or \"inf\"");
    table.take("on_disconnect", settings.on_disconnect, parse_usual_on_disconnect,
               "\"kill\" or \"grace:DURATION\"");
    table.take("bashrc", settings.bashrc);
    table.take("forward_agent", settings.agent, parse_agent_wish,
               "\"ask\" or \"no\" (-A=yes is an option of the command line only)");
    table.take("forward", settings.forwards);
    for (const std::string& forward : settings.forwards) {
        const auto parsed = parse_forward(forward);
        if (const auto* const why = std::get_if<std::string>(&parsed)) {
            throw UserError("config.toml: forward: " + *why);
        }
    }
    return settings;
}

// Returns the file's settings for this host: those of [hosts.NAME], then those of [defaults]. Takes
// those of the prompt into the options.
ConnectionSettings configured(std::string_view host, ClientOptions& options) {
    const std::string path = config_folder() + "/config.toml";
    if (::access(path.c_str(), F_OK) == -1) return {};  // Most users have no such file.
    const auto content = read_config_file(path, home_folder());
    if (!content) return {};
    const ClientConfig config = parse_client_config(*content, path);
    options.suggests = config.suggests.value_or(options.suggests);
    ConnectionSettings settings;
    const auto found = config.hosts.find(std::string(host));
    if (found != config.hosts.end()) settings = found->second;
    fill_in(settings, config.defaults);
    for (std::string& identity : settings.identities)
        identity = expand_home(identity);
    if (settings.ssh_config) settings.ssh_config = expand_home(*settings.ssh_config);
    return settings;
}

// Removes what the files forward where this client does not forward: what is left is what the
// command line has.
void drop_forwards(ClientOptions& options, std::vector<std::string> own) {
    ConnectionSettings& settings = options.settings;
    const auto is_stdio = [](const std::string& forward) { return is_stdio_forward(forward); };
    const bool forwards_stdio = std::any_of(own.begin(), own.end(), is_stdio);
    if (forwards_stdio || !options.control_command.empty() || !may_forward(options)) {
        settings.forwards = std::move(own);
        settings.agent.reset();
    }
    // -W is the work of the whole client; ssh does not clear it either.
    if (forwards_stdio || settings.clear_forwardings.value_or(false)) {
        std::erase_if(settings.forwards, std::not_fn(is_stdio));
    }
}

}  // namespace

ClientConfig parse_client_config(std::string_view text, const std::string& file) {
    ClientConfig config;
    ConfigTable all = parse_config(text, file);
    if (auto defaults = all.take_table("defaults")) {
        config.defaults = take_settings(*defaults);
        defaults->finish();
    }
    for (auto& [name, table] : all.take_tables("hosts")) {
        ConnectionSettings& host = config.hosts[name];
        host = take_settings(table);
        host.address = take_text(table, "address");
        host.via = take_text(table, "via");
        table.finish();
    }
    if (auto prompt = all.take_table("prompt")) {
        prompt->take("suggest", config.suggests);
        prompt->finish();
    }
    all.finish();
    return config;
}

void configure(ClientOptions& options) {
    ConnectionSettings& settings = options.settings;
    std::vector<std::string> own_forwards = settings.forwards;
    // With --via a target is only a name.
    const auto target =
        !settings.via ? parse_tcp_target(options.target) : std::optional<TcpTarget>();
    if (target) fill_in(settings, target->settings);
    fill_in(settings, configured(target ? target->host : options.target, options));
    // ssh may hand both names to a shell (`Match exec`), so they are checked before it runs.
    if (target) require_safe_host(target->host);
    if (settings.user) require_safe_user(*settings.user);
    const bool wants_ssh = target && !settings.via && !options.plaintext;
    if (wants_ssh) apply_ssh_answer(ask_ssh(target->host, settings), options);
    drop_forwards(options, std::move(own_forwards));
}

}  // namespace frsh
