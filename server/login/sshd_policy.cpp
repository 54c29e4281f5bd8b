#include "server/login/sshd_policy.hpp"

#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <utility>

namespace frsh {
namespace {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (const std::string_view word : split(text, ' ')) {
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

std::optional<std::string> unless_none(std::string_view value) {
    if (value.empty() || to_lower(value) == "none") return std::nullopt;
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

// Takes "ADDRESS:PORT", with or without a routing domain behind it.
void add_port(std::vector<unsigned>& ports, std::string_view value) {
    const std::string_view place = value.substr(0, value.find(' '));
    const auto port = parse_number(place.substr(place.rfind(':') + 1), 1, 65535);
    if (port) ports.push_back(static_cast<unsigned>(*port));
}

// Takes the settings about keys and certificates.
void apply_key_setting(SshdPolicy& policy, std::string_view name, std::string_view value) {
    const auto is = [&](std::string_view keyword) { return name == keyword; };
    if (is("revokedkeys")) policy.revoked_keys = unless_none(value);
    if (is("authorizedkeysfile")) policy.authorized_keys_files = words_of(value);
    if (is("authorizedkeyscommand")) policy.has_keys_command = unless_none(value).has_value();
    if (is("trustedusercakeys")) policy.trusted_user_ca_keys = unless_none(value);
    if (is("authorizedprincipalsfile")) policy.principals_file = unless_none(value);
    if (is("authorizedprincipalscommand")) {
        policy.has_principals_command = unless_none(value).has_value();
    }
    if (is("pubkeyauthentication")) policy.has_public_keys = value != "no";
    if (is("pubkeyacceptedalgorithms") || is("pubkeyacceptedkeytypes")) {
        policy.accepted_algorithms = value;
    }
    if (is("casignaturealgorithms")) policy.ca_algorithms = value;
    if (is("requiredrsasize"))
        policy.required_rsa_size = parse_number(value, 0, 1U << 20).value_or(0);
    if (is("pubkeyauthoptions")) {
        policy.is_verify_required = value.find("verify-required") != std::string_view::npos;
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
    if (is("authenticationmethods")) policy.authentication_methods = value;
    if (is("permittty")) policy.may_have_pty = value != "no";
    if (is("allowtcpforwarding") || is("allowstreamlocalforwarding")) {
        if (value == "no" || value == "remote") policy.may_connect = false;
        if (value == "no" || value == "local") policy.may_listen = false;
    }
    if (is("allowagentforwarding") && value == "no") policy.may_have_agent = false;
    if (is("disableforwarding") && value == "yes") {
        policy.may_connect = policy.may_listen = policy.may_have_agent = false;
    }
    if (is("maxsessions") && value == "0") policy.closed_by = "MaxSessions is 0";
    if (is("refuseconnection") && value == "yes") policy.closed_by = "RefuseConnection is yes";
    if (is("usedns")) policy.uses_dns = value == "yes";
    if (is("listenaddress")) add_port(policy.ports, value);
    if (is("permitopen")) set_places(policy.permit_open, policy.may_connect, value);
    if (is("permitlisten")) set_places(policy.permit_listen, policy.may_listen, value);
}

// Matches "USER" or "USER@HOSTS", as in AllowUsers. The hosts are addresses, blocks and patterns
// for the peer's name, which without UseDNS is its address.
bool matches_user(const std::string& pattern, const SshdSubject& subject) {
    const std::size_t at = pattern.find('@');
    if (!matches_pattern(subject.user, pattern.substr(0, at))) return false;
    if (at == std::string::npos) return true;
    const std::string hosts = pattern.substr(at + 1);
    const std::string& host = subject.host.empty() ? subject.address : subject.host;
    const ListVerdict by_address = match_address_list(subject.address, hosts);
    const ListVerdict by_host = match_host_list(host.empty() ? "UNKNOWN" : host, hosts);
    if (by_address == ListVerdict::Negated || by_host == ListVerdict::Negated) return false;
    return by_address == ListVerdict::Match || by_host == ListVerdict::Match;
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

// sshd ends at a token that it does not know.
bool has_unknown_token(const std::string& pattern) {
    for (std::size_t i = pattern.find('%'); i != std::string::npos; i = pattern.find('%', i + 2)) {
        const char token = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (token != '%' && token != 'h' && token != 'u' && token != 'U') return true;
    }
    return false;
}

// A method list such as "publickey,password" needs more than a key.
bool suffices_a_key(const std::string& methods) {
    const auto lists = words_of(methods);
    return methods.empty() || methods == "any" ||
           std::any_of(lists.begin(), lists.end(),
                       [](const std::string& list) { return list == "publickey"; });
}

}  // namespace

SshdPolicy parse_sshd_settings(std::string_view text) {
    SshdPolicy policy;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t blank = line.find(' ');
        if (blank == std::string_view::npos) continue;
        const std::string name = to_lower(line.substr(0, blank));
        apply_setting_of_sshd(policy, name, line.substr(blank + 1));
        apply_key_setting(policy, name, line.substr(blank + 1));
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
    if (policy.closed_by) return *policy.closed_by + " (sshd_config)";
    for (const std::string& file : policy.authorized_keys_files) {
        if (has_unknown_token(file)) return "AuthorizedKeysFile has an unknown token (sshd_config)";
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

std::optional<std::string> expand_file_name(const std::string& pattern, const User& user) {
    if (has_unknown_token(pattern)) return std::nullopt;
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
    return path.starts_with('/') ? path : user.home + "/" + path;
}

std::vector<std::string> expand_key_files(const SshdPolicy& policy, const User& user) {
    std::vector<std::string> paths;
    for (const std::string& pattern : policy.authorized_keys_files) {
        if (to_lower(pattern) == "none") continue;
        if (auto path = expand_file_name(pattern, user)) paths.push_back(std::move(*path));
    }
    return paths;
}

}  // namespace frsh
