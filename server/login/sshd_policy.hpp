// What the machine's sshd_config decides about a login, so that frshd admits no login that sshd
// would refuse. sshd_question.hpp asks sshd for the settings.
#pragma once

#include "common/sys/user.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

enum class SshdPolicyMode {
    Obey,    // Obey each setting, or refuse the login if frshd cannot.
    Refuse,  // Refuse a login for which sshd has a setting beyond lists of users and groups.
    Ignore,  // Do not ask.
};

struct SshdPolicy {
    using List = std::vector<std::string>;

    List allow_users = {};
    List deny_users = {};
    List allow_groups = {};
    List deny_groups = {};
    std::string permit_root_login = "prohibit-password";
    std::optional<std::string> force_command = {};
    std::optional<std::string> chroot = {};
    std::optional<std::string> revoked_keys = {};          // A path.
    std::optional<std::string> trusted_user_ca_keys = {};  // A path.
    std::optional<std::string> principals_file = {};       // As in the file: with %h, %u and %U.
    bool has_principals_command = false;
    bool has_keys_command = false;
    std::optional<std::string> accepted_algorithms = {};  // Lists of patterns.
    std::optional<std::string> ca_algorithms = {};
    std::size_t required_rsa_size = 0;
    bool is_verify_required = false;
    std::optional<std::string> closed_by = {};  // A setting that permits no session at all.
    List authorized_keys_files = {};            // As in the file: with %h, %u and %U.
    std::string authentication_methods = "any";
    bool has_public_keys = true;
    bool may_have_pty = true;
    bool may_connect = true;     // For the client (-L, -D, -W).
    bool may_listen = true;      // For the client (-R).
    bool may_have_agent = true;  // The client's (-A).
    // "HOST:PORT"; if set, only these.
    std::optional<List> permit_open = {};
    std::optional<List> permit_listen = {};
    bool uses_dns = false;
    std::string host = {};             // Set by the caller: the peer's name or address.
    std::vector<unsigned> ports = {};  // On which sshd listens.
};

// Parses the output of `sshd -T`. Unknown lines are passed over.
[[nodiscard]] SshdPolicy parse_sshd_settings(std::string_view text);

// The part of a login that decides. `has_command`: the key or certificate has a forced command.
struct SshdSubject {
    std::string user;
    bool is_root = false;
    std::vector<std::string> groups = {};
    std::string address = {};
    bool has_command = false;
    std::string host = {};  // The peer's name, if sshd would have looked it up.
};
// Returns why sshd would refuse this login, or why frshd cannot obey a setting.
[[nodiscard]] std::optional<std::string> find_sshd_refusal(const SshdPolicy& policy,
                                                           const SshdSubject& subject,
                                                           SshdPolicyMode mode);

// Returns the paths of AuthorizedKeysFile for this user.
[[nodiscard]] std::vector<std::string> expand_key_files(const SshdPolicy& policy, const User& user);
// Returns the path that a name with %h, %u or %U stands for: below the home unless it is absolute.
// Returns nothing for another token, at which sshd ends.
[[nodiscard]] std::optional<std::string> expand_file_name(const std::string& pattern,
                                                          const User& user);

}  // namespace frsh
