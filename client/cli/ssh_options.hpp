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
#include <variant>
#include <vector>

namespace frsh {

// Whether the command gets a terminal on the server.
enum class Tty {
    Automatic,  // A command gets none. Without a command, frsh opens its prompt.
    Never,      // -T
    Wanted,     // -t: a terminal if frsh itself has one.
    Forced,     // -tt
};

// The parsed command line. A member without a value was not given.
struct SshOptions {
    std::string target;                     // Without "ssh://", but with "user@".
    std::vector<std::string> words;         // The command.
    std::vector<std::string> long_options;  // frsh's own, each followed by its value.

    bool version = false;       // -V
    bool help = false;          // -h
    bool print_config = false;  // -G
    bool no_command = false;    // -N
    bool background = false;    // -f
    bool subsystem = false;     // -s: the command is the name of a subsystem.
    std::optional<bool> stdin_null;
    std::optional<Tty> tty;
    std::optional<std::optional<char>> escape;  // An inner nothing: "none".
    std::optional<std::string> remote_command;
    std::optional<std::string> local_command;   // LocalCommand, with its tokens.
    std::optional<bool> permits_local_command;  // PermitLocalCommand
    std::string control_command;                // -O: a request to the link holder.
    std::vector<std::string> send_env;          // Patterns; a dash in front excludes variables.
    std::vector<std::string> set_env;           // "NAME=VALUE"

    std::optional<log::Level> log_level;
    std::optional<std::string> log_file;     // -E
    std::optional<std::string> config_file;  // -F

    ConnectionSettings settings;
};

// Returns true if a long option ("--timeout") takes a value; nothing if there is no such option.
using TakesValue = std::function<std::optional<bool>(const std::string& name)>;

// Parses the words behind the program's name. Returns a text for the user if they are invalid.
[[nodiscard]] std::variant<SshOptions, std::string> parse_ssh_options(
    const std::vector<std::string>& words, const TakesValue& takes_value);

// Reads one `-o`: "Key=value" or "Key value", with the key in any case and the value optionally in
// quotes. The first value of a key wins. `forwarding` records a refusal that
// ClearAllForwardings=yes cancels.
struct SshKeywords {
    SshOptions& options;
    std::string forwarding = {};
    bool clears_forwardings = false;
    std::string ignored = {};  // IgnoreUnknown: a list of patterns.
    [[nodiscard]] std::optional<std::string> set(std::string_view line);
};

}  // namespace frsh
