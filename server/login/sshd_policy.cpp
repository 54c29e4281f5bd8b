#include "server/login/sshd_policy.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"
#include "server/login/tool.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kConfig = "/etc/ssh/sshd_config";
constexpr std::size_t kMaxConfig = std::size_t{1} << 20;
constexpr int kMaxIncludes = 16;  // The depth of nesting, as in sshd.
constexpr std::array kPrograms = {"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"};
// In lower case.
constexpr std::array<std::string_view, 21> kKeywords = {
    "allowgroups",
    "allowstreamlocalforwarding",
    "allowtcpforwarding",
    "allowusers",
    "authenticationmethods",
    "authorizedkeysfile",
    "authorizedprincipalsfile",
    "authorizedprincipalscommand",
    "chrootdirectory",
    "denygroups",
    "denyusers",
    "disableforwarding",
    "forcecommand",
    "match",
    "permitlisten",
    "permitopen",
    "permitrootlogin",
    "permittty",
    "pubkeyauthentication",
    "revokedkeys",
    "authorizedkeysfile2",
};

void skip_blanks_of_config(std::string_view& rest) {
    while (!rest.empty() && std::string_view(" \t\r\f").find(rest[0]) != std::string_view::npos)
        rest.remove_prefix(1);
}

// Takes a word, which may be quoted; "=" may stand for the blank after a keyword.
std::string take_word_of_config(std::string_view& rest) {
    skip_blanks_of_config(rest);
    if (rest.starts_with('"')) {
        const std::size_t end = std::min(rest.find('"', 1), rest.size());
        std::string word(rest.substr(1, end - 1));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return word;
    }
    std::string word(rest.substr(0, rest.find_first_of(" \t\r\f=\"")));
    rest.remove_prefix(word.size());
    skip_blanks_of_config(rest);
    if (rest.starts_with('=')) rest.remove_prefix(1);
    return word;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (const std::string_view word : split(text, ' ')) {
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

std::optional<std::string> unless_none(std::string_view value) {
    if (value.empty() || value == "none") return std::nullopt;
    return std::string(value);
}

void add_all(std::vector<std::string>& list, std::string_view value) {
    for (std::string& word : words_of(value))
        list.push_back(std::move(word));
}

// Takes "any", "none", or a list of places. A port alone, in PermitListen, is one on any address.
void set_places(std::optional<SshdPolicy::List>& places, bool& is_allowed, std::string_view value) {
    if (value == "any") return;
    places.emplace();
    if (value == "none") {
        is_allowed = false;
        return;
    }
    for (const std::string& place : words_of(value)) {
        const bool is_port = place.find(':') == std::string::npos;
        places->push_back((is_port ? "*:" : "") + place);
    }
}

void apply_setting_of_sshd(SshdPolicy& policy, std::string_view name, std::string_view value) {
    const auto is = [&](std::string_view keyword) { return name == keyword; };
    if (is("allowusers")) add_all(policy.allow_users, value);
    if (is("denyusers")) add_all(policy.deny_users, value);
    if (is("allowgroups")) add_all(policy.allow_groups, value);
    if (is("denygroups")) add_all(policy.deny_groups, value);
    if (is("permitrootlogin")) policy.permit_root_login = value;
    if (is("forcecommand")) policy.force_command = unless_none(value);
    if (is("chrootdirectory")) policy.chroot = unless_none(value);
    if (is("revokedkeys")) policy.revoked_keys = unless_none(value);
    if (is("authorizedkeysfile")) policy.authorized_keys_files = words_of(value);
    if (is("authenticationmethods")) policy.authentication_methods = value;
    if (is("pubkeyauthentication")) policy.has_public_keys = value != "no";
    if (is("permittty")) policy.may_have_pty = value != "no";
    if (is("allowtcpforwarding") || is("allowstreamlocalforwarding")) {
        if (value == "no" || value == "remote") policy.may_connect = false;
        if (value == "no" || value == "local") policy.may_listen = false;
    }
    if (is("disableforwarding") && value == "yes") policy.may_connect = policy.may_listen = false;
    if ((is("authorizedprincipalsfile") || is("authorizedprincipalscommand")) &&
        unless_none(value)) {
        policy.principals_source = std::string(name);
    }
    if (is("permitopen")) set_places(policy.permit_open, policy.may_connect, value);
    if (is("permitlisten")) set_places(policy.permit_listen, policy.may_listen, value);
}

// Matches "USER" or "USER@ADDRESS", as in AllowUsers. frshd looks up no names, so the part after
// the @ is a list of addresses.
bool matches_user(const std::string& pattern, const SshdSubject& subject) {
    const std::size_t at = pattern.rfind('@');
    if (at == std::string::npos) return matches_pattern(subject.user, pattern);
    return matches_pattern(subject.user, pattern.substr(0, at)) &&
           match_address_list(subject.address, pattern.substr(at + 1)) == ListVerdict::Match;
}

// Returns true for a name after the @, which could be the peer's and is not looked up.
bool names_a_host(const std::string& pattern) {
    const std::size_t at = pattern.rfind('@');
    return at != std::string::npos &&
           pattern.find_first_of("ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ", at) !=
               std::string::npos;
}

bool any_user(const SshdPolicy::List& patterns, const SshdSubject& subject) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return matches_user(pattern, subject); });
}

bool any_group(const SshdPolicy::List& patterns, const SshdSubject& subject) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        return std::any_of(
            subject.groups.begin(), subject.groups.end(),
            [&](const std::string& group) { return matches_pattern(group, pattern); });
    });
}

std::optional<std::string> find_list_refusal(const SshdPolicy& policy, const SshdSubject& subject) {
    const std::string by = " (sshd_config)";
    if (any_user(policy.deny_users, subject)) return "DenyUsers names this account" + by;
    for (const std::string& pattern : policy.deny_users) {
        const SshdSubject anywhere{subject.user, subject.is_root, {}, "", false};
        if (names_a_host(pattern) && any_user({pattern.substr(0, pattern.rfind('@'))}, anywhere)) {
            return "DenyUsers names this account at a host name" + by;
        }
    }
    if (!policy.allow_users.empty() && !any_user(policy.allow_users, subject)) {
        return "AllowUsers does not name this account from here" + by;
    }
    if (any_group(policy.deny_groups, subject)) return "DenyGroups names a group of it" + by;
    if (!policy.allow_groups.empty() && !any_group(policy.allow_groups, subject)) {
        return "AllowGroups names no group of it" + by;
    }
    if (!subject.is_root || policy.permit_root_login == "yes" ||
        policy.permit_root_login == "prohibit-password" ||
        policy.permit_root_login == "without-password") {
        return std::nullopt;
    }
    if (policy.permit_root_login == "forced-commands-only" && subject.has_command) {
        return std::nullopt;
    }
    return "PermitRootLogin is " + policy.permit_root_login + by;
}

// A method list such as "publickey,password" needs more than a key.
bool suffices_a_key(const std::string& methods) {
    const auto lists = words_of(methods);
    return methods.empty() || methods == "any" ||
           std::any_of(lists.begin(), lists.end(),
                       [](const std::string& list) { return list == "publickey"; });
}

std::vector<std::string> included_files(const std::string& pattern) {
    const std::string path = pattern.starts_with('/') ? pattern : "/etc/ssh/" + pattern;
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(path.c_str(), 0, nullptr, &found) == 0) {
        files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    }
    ::globfree(&found);
    return files;
}

// Returns true also for a file that cannot be read: sshd may report why.
bool mentions_policy(const std::string& path, int depth) {
    std::vector<std::string> includes;
    try {
        if (depth > kMaxIncludes || has_policy_keyword(read_file(path, kMaxConfig), includes)) {
            return true;
        }
    } catch (const SysError&) {
        return true;
    }
    for (const std::string& pattern : includes) {
        for (const std::string& file : included_files(pattern)) {
            if (mentions_policy(file, depth + 1)) return true;
        }
    }
    return false;
}

}  // namespace

bool has_policy_keyword(std::string_view text, std::vector<std::string>& includes) {
    for (std::string_view line : split(text, '\n')) {
        const std::string keyword = to_lower(take_word_of_config(line));
        if (std::find(kKeywords.begin(), kKeywords.end(), keyword) != kKeywords.end()) return true;
        if (keyword != "include") continue;
        while (skip_blanks_of_config(line), !line.empty())
            includes.push_back(take_word_of_config(line));
    }
    return false;
}

SshdPolicy parse_sshd_settings(std::string_view text) {
    SshdPolicy policy;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t blank = line.find(' ');
        if (blank == std::string_view::npos) continue;
        apply_setting_of_sshd(policy, to_lower(line.substr(0, blank)), line.substr(blank + 1));
    }
    return policy;
}

std::optional<std::string> find_sshd_refusal(const SshdPolicy& policy, const SshdSubject& subject,
                                             SshdPolicyMode mode) {
    if (auto why = find_list_refusal(policy, subject)) return why;
    if (!policy.has_public_keys) return "PubkeyAuthentication is no (sshd_config)";
    if (!suffices_a_key(policy.authentication_methods)) {
        return "AuthenticationMethods wants more than a key (sshd_config)";
    }
    if (policy.chroot) return "ChrootDirectory is set, which frshd does not support (sshd_config)";
    if (policy.force_command && policy.force_command->starts_with("internal-sftp")) {
        return "ForceCommand is internal-sftp, which frshd does not have (sshd_config)";
    }
    if (mode == SshdPolicyMode::Refuse && policy.force_command) {
        return "ForceCommand is set (sshd_config; sshd_policy is \"refuse\")";
    }
    return std::nullopt;
}

std::vector<std::string> expand_key_files(const SshdPolicy& policy, const User& user) {
    std::vector<std::string> paths;
    for (const std::string& pattern : policy.authorized_keys_files) {
        if (pattern == "none") continue;
        std::string path;
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            const bool is_token = pattern[i] == '%' && i + 1 < pattern.size();
            const char token = is_token ? pattern[++i] : '\0';
            if (!is_token) path += pattern[i];
            if (token == '%') path += '%';
            if (token == 'h') path += user.home;
            if (token == 'u') path += user.name;
            if (token == 'U') path += std::to_string(user.uid);
        }
        paths.push_back(path.starts_with('/') ? path : user.home + "/" + path);
    }
    return paths;
}

SshdAnswer ask_sshd(const User& user, const std::string& address, const std::string& host_key,
                    std::chrono::milliseconds timeout) {
    const auto* const program =
        std::find_if(kPrograms.begin(), kPrograms.end(),
                     [](const char* path) { return ::access(path, X_OK) == 0; });
    if (program == kPrograms.end() || ::access(kConfig, F_OK) == -1) return {};
    if (!mentions_policy(kConfig, 0)) return {};
    if (user.name.find_first_of(",= ") != std::string::npos) {
        return {std::nullopt, "sshd_config cannot be evaluated for this name (sshd_policy)"};
    }
    // sshd does not start without this folder, which its service makes. It stays empty.
    (void)::mkdir("/run/sshd", 0755);
    std::string who = "user=" + user.name;
    // Without a peer that has an address, no Match for an address applies.
    const std::string from = address.empty() ? "0.0.0.0" : address;
    who += ",host=" + from + ",addr=" + from + ",laddr=" + from + ",lport=22";
    std::vector<std::string> argv{*program, "-T", "-C", who};
    if (::access(host_key.c_str(), R_OK) == 0) {
        argv.emplace_back("-h");
        argv.push_back(host_key);
    }
    const ToolResult result = run_tool(argv, {}, timeout);
    if (result.status == 0) return {parse_sshd_settings(result.output), std::nullopt};
    const std::string why = result.status == ToolResult::kTimedOut ? "no answer" : result.last_line;
    return {std::nullopt, "sshd_config cannot be evaluated: " + why + " (sshd_policy)"};
}

}  // namespace frsh
