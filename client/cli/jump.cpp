#include "client/cli/jump.hpp"

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_config.hpp"
#include "client/cli/ssh_names.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <utility>

namespace frsh {
namespace {

constexpr std::string_view kSshd = "sshd:";
constexpr std::size_t kMaxHops = 8;

struct Hop {
    std::string user;  // Empty: as ssh's configuration has it.
    std::string host;
    unsigned port = 0;  // 0: as ssh's configuration has it.
};

// Parses "[user@]host[:port]" or "ssh://...". Throws UserError.
Hop parse_hop(std::string_view text) {
    Hop hop;
    if (auto uri = parse_ssh_uri(text)) {
        hop = {uri->user.value_or(""), uri->host, uri->port.value_or(0)};
    } else if (auto target = parse_tcp_target(text)) {
        hop = {target->settings.user.value_or(""), target->host, target->settings.port.value_or(0)};
    }
    require_safe_host(hop.host);
    if (!hop.user.empty()) require_safe_user(hop.user);
    return hop;
}

// Throws UserError.
std::vector<Hop> parse_hops(std::string_view jump) {
    std::vector<Hop> hops;
    for (const std::string_view word : split(jump, ',')) {
        if (!word.starts_with(kSshd)) {
            throw UserError(
                "'" + escape_controls(word) +
                "': only a hop that has an sshd can be used: sshd:" + escape_controls(word));
        }
        hops.push_back(parse_hop(word.substr(kSshd.size())));
    }
    if (hops.size() > kMaxHops) throw UserError("more than eight hops");
    return hops;
}

std::string in_brackets(const std::string& host) {
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string text_of(const Hop& hop) {
    std::string text = hop.user.empty() ? "" : hop.user + "@";
    text += in_brackets(hop.host);
    return hop.port == 0 ? text : text + ":" + std::to_string(hop.port);
}

}  // namespace

std::optional<std::string> find_jump_error(std::string_view jump) {
    if (jump == "none") return std::nullopt;
    try {
        (void)parse_hops(jump);
    } catch (const UserError& error) {
        return error.what();
    }
    return std::nullopt;
}

std::string as_sshd_hops(std::string_view jump) {
    std::string text;
    for (const std::string_view hop : split(jump, ',')) {
        if (!text.empty()) text += ',';
        if (!hop.starts_with(kSshd)) text += kSshd;
        text += hop;
    }
    return text;
}

std::optional<JumpCommand> resolve_jump(std::string_view jump, const Target& target,
                                        const std::optional<std::string>& file, bool is_batch) {
    if (jump == "none") return std::nullopt;
    const std::vector<Hop> hops = parse_hops(jump);
    const Hop& last = hops.back();
    if (to_lower(last.host) == to_lower(target.asked)) return std::nullopt;
    JumpCommand command;
    command.programs = find_ssh();
    if (command.programs.empty())
        throw UserError("-J: there is no ssh here to reach the jump host");
    const std::string where =
        in_brackets(target.where.host) + ":" + std::to_string(target.where.port);
    command.argv = {"ssh", "-W", where};
    const auto add = [&command](const char* option, const std::string& value) {
        command.argv.insert(command.argv.end(), {option, value});
    };
    if (file && *file != "none") add("-F", *file);
    if (is_batch) add("-o", "BatchMode=yes");
    std::string before;
    for (std::size_t i = 0; i + 1 < hops.size(); ++i)
        before += (before.empty() ? "" : ",") + text_of(hops[i]);
    if (!before.empty()) add("-J", before);
    if (!last.user.empty()) add("-l", last.user);
    if (last.port != 0) add("-p", std::to_string(last.port));
    add("--", last.host);
    command.name = std::string(jump);
    log::info(target.name + ": through " + command.name);
    return command;
}

}  // namespace frsh
