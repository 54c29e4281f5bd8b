#include "server/run/account_shell.hpp"

#include "common/base/environment.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <array>

namespace frsh {
namespace {

constexpr std::array<std::string_view, 27> kPlainShells = {
    "sh",   "bash", "dash",  "ash",  "busybox", "zsh",  "fish", "ksh",    "ksh93",
    "mksh", "lksh", "pdksh", "oksh", "loksh",   "yash", "posh", "csh",    "tcsh",
    "bsh",  "rc",   "es",    "nu",   "xonsh",   "osh",  "ysh",  "elvish", "pwsh"};

// A file called bash elsewhere may be a wrapper that restricts the account.
constexpr std::array<std::string_view, 7> kSystemFolders = {"/bin",
                                                            "/usr/bin",
                                                            "/usr/local/bin",
                                                            "/sbin",
                                                            "/usr/sbin",
                                                            "/run/current-system/sw/bin",
                                                            "/opt/homebrew/bin"};

constexpr std::array<std::string_view, 41> kRestricted = {"PATH",
                                                          "HOME",
                                                          "SHELL",
                                                          "USER",
                                                          "LOGNAME",
                                                          "MAIL",
                                                          "CDPATH",
                                                          "PWD",
                                                          "OLDPWD",
                                                          "HISTFILE",
                                                          "INPUTRC",
                                                          "EDITOR",
                                                          "VISUAL",
                                                          "PAGER",
                                                          "MANPAGER",
                                                          "BROWSER",
                                                          "LESSOPEN",
                                                          "LESSCLOSE",
                                                          "LESSKEY",
                                                          "LESS",
                                                          "TERMCAP",
                                                          "TERMINFO",
                                                          "TERMINFO_DIRS",
                                                          "TMPDIR",
                                                          "GCONV_PATH",
                                                          "GLIBC_TUNABLES",
                                                          "LOCPATH",
                                                          "NLSPATH",
                                                          "HOSTALIASES",
                                                          "RES_OPTIONS",
                                                          "LOCALDOMAIN",
                                                          "NODE_OPTIONS",
                                                          "NODE_PATH",
                                                          "JAVA_TOOL_OPTIONS",
                                                          "_JAVA_OPTIONS",
                                                          "OPENSSL_CONF",
                                                          "OPENSSL_MODULES",
                                                          "OPENSSL_ENGINES",
                                                          "KRB5_CONFIG",
                                                          "RSYNC_RSH",
                                                          "SUDO_ASKPASS"};
constexpr std::array<std::string_view, 8> kRestrictedPrefixes = {
    "SSH_", "XDG_", "PERL", "PYTHON", "RUBY", "MALLOC_", "DYLD_", "GIT_"};

template <std::size_t size>
bool contains(const std::array<std::string_view, size>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

template <std::size_t size>
bool has_prefix(const std::array<std::string_view, size>& prefixes, std::string_view name) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Returns whether no shell takes the word for anything but a command: no keyword of a shell has a
// dash or a slash in it.
bool is_bare_command(std::string_view word) {
    constexpr std::string_view kSafe =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    return word.find_first_of("-/") != std::string_view::npos &&
           word.find_first_not_of(kSafe) == std::string_view::npos;
}

}  // namespace

bool is_plain_shell(std::string_view shell,
                    const std::optional<std::vector<std::string>>& patterns) {
    const std::size_t slash = std::min(shell.rfind('/'), shell.size());
    const std::string_view name = slash < shell.size() ? shell.substr(slash + 1) : shell;
    const bool is_of_system = contains(kSystemFolders, shell.substr(0, slash));
    if (!patterns) return is_of_system && contains(kPlainShells, name);
    return std::any_of(patterns->begin(), patterns->end(), [&](const std::string& pattern) {
        if (pattern.find('/') != std::string::npos) return matches_pattern(shell, pattern);
        return is_of_system && matches_pattern(name, pattern);
    });
}

bool is_restricted_variable(std::string_view name) {
    // The protocol version of git is what its server reads, and names no program.
    if (name == "GIT_PROTOCOL") return false;
    return is_dangerous_variable(name) || contains(kRestricted, name) ||
           has_prefix(kRestrictedPrefixes, name);
}

std::optional<std::string> find_dangerous_variable(const std::vector<std::string>& env) {
    for (const std::string& entry : env) {
        const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
        if (!is_dangerous_variable(name)) continue;
        return "variable " + escape_controls(name) +
               ": no client may set it, since it changes what runs before the command; set it in "
               "the command itself";
    }
    return std::nullopt;
}

std::string quote_program(const std::vector<std::string>& argv) {
    std::string command;
    for (const std::string& word : argv) {
        const bool is_first = command.empty();
        if (!is_first) command += ' ';
        command += is_first && is_bare_command(word) ? word : shell_quote_always(word);
    }
    return command;
}

}  // namespace frsh
