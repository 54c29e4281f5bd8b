#include "client/cli/jump.hpp"

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_config.hpp"
#include "client/cli/ssh_names.hpp"
#include "common/base/brackets.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <utility>

#include <unistd.h>

namespace frsh {
namespace {

constexpr std::string_view kSshd = "sshd:";
constexpr std::size_t kMaxHops = 8;
// What ssh replaces by the host and the port to connect to.
constexpr std::string_view kDestinationOfSsh = "[%h]:%p";

struct Hop {
    enum class Daemon { Frshd, Sshd, Either };
    Daemon daemon = Daemon::Frshd;
    std::string user = {};  // Empty: as the configuration has it.
    std::string host = {};
    unsigned port = 0;  // 0: as the configuration has it. For Either, that of sshd.
};
using Hops = std::span<const Hop>;

// Parses "[sshd:][user@]host[:port]" or "ssh://...". Throws UserError.
Hop parse_hop(std::string_view text, bool may_be_sshd) {
    Hop hop;
    hop.daemon = may_be_sshd ? Hop::Daemon::Either : Hop::Daemon::Frshd;
    if (text.starts_with(kSshd)) {
        hop.daemon = Hop::Daemon::Sshd;
        text.remove_prefix(kSshd.size());
    }
    if (const auto uri = parse_ssh_uri(text)) {
        hop.user = uri->user.value_or("");
        hop.host = uri->host;
        hop.port = uri->port.value_or(0);
    } else if (const auto target = parse_tcp_target(text)) {
        hop.user = target->settings.user.value_or("");
        hop.host = target->host;
        hop.port = target->settings.port.value_or(0);
    } else {
        throw UserError("'" + escape_controls(text) + "': is no jump host");
    }
    require_safe_host(hop.host);
    if (!hop.user.empty()) require_safe_user(hop.user);
    return hop;
}

// Throws UserError.
std::vector<Hop> parse_hops(const JumpWish& jump) {
    std::vector<Hop> hops;
    for (const std::string_view word : split(jump.hops, ','))
        hops.push_back(parse_hop(word, jump.may_be_sshd));
    if (hops.size() > kMaxHops) throw UserError("more than eight hops");
    return hops;
}

std::string text_of(const Hop& hop) {
    std::string text = hop.user.empty() ? "" : hop.user + "@";
    text += in_brackets(hop.host);
    return hop.port == 0 ? text : text + ":" + std::to_string(hop.port);
}

std::string text_of(Hops hops) {
    std::string text;
    for (const Hop& hop : hops) {
        text += text.empty() ? "" : ",";
        if (hop.daemon == Hop::Daemon::Sshd) text += kSshd;
        text += text_of(hop);
    }
    return text;
}

bool has_sshd(const Hop& hop) {
    return hop.daemon == Hop::Daemon::Sshd;
}

// Several frshd may be on one host. The port of an sshd does not distinguish hosts.
bool is_same(const Hop& hop, const Target& target) {
    const bool is_other_port =
        hop.daemon == Hop::Daemon::Frshd && hop.port != 0 && hop.port != target.where.port;
    return to_lower(hop.host) == to_lower(target.asked) && !is_other_port;
}

// Throws UserError.
std::vector<Hop> hops_before(const Target& target, const JumpWish& jump) {
    std::vector<Hop> hops = parse_hops(jump);
    const auto self = std::find_if(hops.begin(), hops.end(),
                                   [&target](const Hop& hop) { return is_same(hop, target); });
    hops.erase(self, hops.end());
    return hops;
}

std::string own_program() {
    char path[PATH_MAX] = {};
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path - 1);
    return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "frsh";
}

std::string destination_of(const Target& target) {
    return in_brackets(target.where.host) + ":" + std::to_string(target.where.port);
}

// Throws UserError.
std::string next_depth() {
    const char* const text = std::getenv(kHopDepth);
    const auto depth = parse_number(text != nullptr ? text : "0", 0, kMaxHops).value_or(kMaxHops);
    if (depth >= kMaxHops) {
        throw UserError(
            "more than eight jump hosts, one behind the other: the configuration may lead in a "
            "circle");
    }
    return std::to_string(depth + 1);
}

// Builds the command line of the program for the last of some hops.
class WayBuilder {
  public:
    explicit WayBuilder(const ConnectionSettings& settings) : settings_(settings) {}

    // `hops` has one hop at least.
    [[nodiscard]] JumpCommand lead_to(std::string_view destination, Hops hops) const {
        JumpCommand command;
        const bool is_ssh = has_sshd(hops.back());
        command.kind = is_ssh ? JumpCommand::Kind::Ssh : JumpCommand::Kind::Frsh;
        command.programs = is_ssh ? find_ssh() : std::vector{std::string("/proc/self/exe")};
        if (command.programs.empty()) {
            throw UserError("-J: there is no ssh here to reach the jump host");
        }
        command.argv = is_ssh ? by_ssh(destination, hops) : by_frsh(destination, hops);
        command.name = text_of(hops);
        return command;
    }

  private:
    using Words = std::vector<std::string>;

    void add_common(Words& words) const {
        const bool is_for_ssh = words.front() == "ssh";
        const auto& file = settings_.ssh_config;
        if (file && !(is_for_ssh && *file == "none")) append(words, {"-F", *file});
        if (settings_.batch_mode.value_or(false)) append(words, {"-o", "BatchMode=yes"});
    }

    [[nodiscard]] Words by_ssh(std::string_view destination, Hops hops) const {
        const Hop& last = hops.back();
        const Hops before = hops.first(hops.size() - 1);
        Words words{"ssh", "-W", std::string(destination)};
        add_common(words);
        if (!before.empty()) {
            if (std::all_of(before.begin(), before.end(), has_sshd)) {
                append(words, {"-J", plain_text_of(before)});
            } else {
                append(words, {"-o", "ProxyCommand=" + proxy_command(before)});
            }
        }
        if (!last.user.empty()) append(words, {"-l", last.user});
        if (last.port != 0) append(words, {"-p", std::to_string(last.port)});
        append(words, {"--", last.host});
        return words;
    }

    [[nodiscard]] Words by_frsh(std::string_view destination, Hops hops) const {
        const Hop& last = hops.back();
        const Hops before = hops.first(hops.size() - 1);
        Words words{"frsh", "--stdio-forward", std::string(destination)};
        add_common(words);
        if (log::level() == log::Level::Quiet) append(words, {"-q"});
        if (log::level() == log::Level::Info) append(words, {"-v"});
        if (log::level() == log::Level::Debug) append(words, {"-vv"});
        const std::string port = std::to_string(last.port);
        if (last.daemon == Hop::Daemon::Either) {
            append(words, {"--or-sshd", port});
        } else if (last.port != 0) {
            append(words, {"-p", port});
        }
        if (!before.empty()) append(words, {"-J", text_of(before)});
        if (!last.user.empty()) append(words, {"-l", last.user});
        append(words, {"--", in_brackets(last.host)});
        return words;
    }

    // Returns the ProxyCommand of an ssh whose host is behind `hops`. ssh replaces %-tokens in it.
    [[nodiscard]] std::string proxy_command(Hops hops) const {
        const JumpCommand way = lead_to(kDestinationOfSsh, hops);
        const bool is_ssh = way.kind == JumpCommand::Kind::Ssh;
        std::string text = shell_quote(doubled(is_ssh ? way.programs.front() : own_program()));
        if (!is_ssh) text += " --connect-timeout " + timeout_text(connect_timeout_of(settings_));
        for (auto word = way.argv.begin() + 1; word != way.argv.end(); ++word)
            text += " " + shell_quote(*word == kDestinationOfSsh ? *word : doubled(*word));
        return text;
    }

    static std::string timeout_text(std::chrono::milliseconds timeout) {
        return std::to_string(timeout.count()) + "ms";
    }

    static std::string doubled(std::string_view word) {
        std::string text;
        for (const char c : word)
            text.append(c == '%' ? 2 : 1, c);
        return text;
    }

    static std::string plain_text_of(Hops hops) {
        std::string text;
        for (const Hop& hop : hops)
            text += (text.empty() ? "" : ",") + text_of(hop);
        return text;
    }

    static void append(Words& words, std::initializer_list<std::string> more) {
        words.insert(words.end(), more);
    }

    const ConnectionSettings& settings_;
};

}  // namespace

std::optional<std::string> find_jump_error(std::string_view jump) {
    if (jump == "none") return std::nullopt;
    try {
        (void)parse_hops({std::string(jump)});
    } catch (const UserError& error) {
        return error.what();
    }
    return std::nullopt;
}

std::optional<JumpCommand> resolve_jump(const JumpWish& jump, const Target& target,
                                        const ConnectionSettings& settings) {
    if (jump.hops == "none") return std::nullopt;
    const std::vector<Hop> hops = hops_before(target, jump);
    if (hops.empty()) return std::nullopt;
    JumpCommand command = WayBuilder(settings).lead_to(destination_of(target), hops);
    command.depth = next_depth();
    log::info(target.name + ": through " + command.name);
    return command;
}

JumpCommand resolve_sshd_hop(const ClientOptions& options, const Target& target) {
    const ConnectionSettings& settings = options.settings;
    std::vector<Hop> hops;
    if (settings.jump && settings.jump->hops != "none") {
        hops = hops_before(target, *settings.jump);
    }
    hops.push_back({Hop::Daemon::Sshd, settings.user.value_or(""), target.asked,
                    options.sshd_port.value_or(0)});
    JumpCommand command = WayBuilder(settings).lead_to(options.stdio_forward, hops);
    command.depth = next_depth();
    return command;
}

}  // namespace frsh
