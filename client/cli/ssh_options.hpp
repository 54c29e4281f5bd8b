// The command line of ssh(1), since many programs start remote commands through ssh.
//
// Short options and `-o Key=Value` are parsed here, by ssh's own grammar. Words that begin with two
// dashes are frsh's own; they are only collected, and options.cpp parses them. Nothing is looked up
// or opened. An option without a noticeable effect is accepted and ignored. An option that frsh
// cannot fulfil is refused by its name.
#pragma once

#include "client/cli/connection_settings.hpp"
#include "common/base/log.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace frsh {

// Is the command to have a terminal there?
enum class Tty {
    Automatic,  // A command gets none; without one there is a prompt.
    Never,      // -T
    Wanted,     // -t: where we have one ourselves.
    Forced,     // -tt
};

// What was said on the command line; nothing where nothing was.
struct SshOptions {
    std::string target;                     // Without ssh://; "user@" is still there.
    std::vector<std::string> words;         // The command.
    std::vector<std::string> long_options;  // frsh's own, each followed by its value.

    bool version = false;       // -V
    bool help = false;          // -h
    bool print_config = false;  // -G
    bool no_command = false;    // -N
    bool background = false;    // -f
    bool subsystem = false;     // -s: the command is one's name.
    std::optional<bool> stdin_null;
    std::optional<Tty> tty;
    std::optional<std::optional<char>> escape;  // Nothing in it: none.
    std::optional<std::string> remote_command;
    std::vector<std::string> send_env;  // Patterns; with a dash in front: not these.
    std::vector<std::string> set_env;   // "NAME=VALUE"

    std::optional<log::Level> log_level;
    std::optional<std::string> log_file;     // -E
    std::optional<std::string> config_file;  // -F

    ConnectionSettings settings;
};

// Does a long option ("--timeout") want a value? Nothing: there is no such option.
using TakesValue = std::function<std::optional<bool>(const std::string& name)>;

// The words behind the program's name; or why they make no sense, ready to be shown.
[[nodiscard]] std::variant<SshOptions, std::string> parse_ssh_options(
    const std::vector<std::string>& words, const TakesValue& takes_value);

// One `-o`: "Key=value" or "Key value", the key in any case, the value perhaps in quotes, the first
// one said wins. Why not, or nothing. `forwarding` takes down a refusal that
// ClearAllForwardings=yes would take back.
struct SshKeywords {
    SshOptions& options;
    std::string forwarding = {};
    bool clears_forwardings = false;
    std::string ignored = {};  // IgnoreUnknown: a list of patterns.
    [[nodiscard]] std::optional<std::string> set(std::string_view line);
};

// ssh's %-tokens in a value: "%h" by {'h', "example.org"}, "%%" by "%". Nothing where a token is
// none of these.
using SshTokens = std::vector<std::pair<char, std::string>>;
[[nodiscard]] std::optional<std::string> expand_tokens(std::string_view text,
                                                       const SshTokens& tokens);

// A name that is safe on a shell's command line, where ProxyCommand puts it: as ssh judges.
[[nodiscard]] bool is_safe_host(std::string_view host);
[[nodiscard]] bool is_safe_user(std::string_view user);

}  // namespace frsh
