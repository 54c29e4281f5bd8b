// What the machine's sshd_config decides about a login, so that frshd admits no login that sshd
// would refuse.
//
// sshd itself evaluates its files: `sshd -T -C user=…,addr=…` prints the settings of one login. It
// is asked only if its files have a keyword that matters here, because the answer takes about 20
// ms. Match blocks for a LocalPort are evaluated for port 22.
#pragma once

#include "common/sys/user.hpp"

#include <chrono>
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
    std::optional<std::string> revoked_keys = {};       // A path.
    std::optional<std::string> principals_source = {};  // A keyword that maps principals to users.
    List authorized_keys_files = {};                    // As in the file: with %h, %u and %U.
    std::string authentication_methods = "any";
    bool has_public_keys = true;
    bool may_have_pty = true;
    bool may_connect = true;  // For the client (-L, -D, -W).
    bool may_listen = true;   // For the client (-R).
    // "HOST:PORT"; if set, only these.
    std::optional<List> permit_open = {};
    std::optional<List> permit_listen = {};
};

// Parses the output of `sshd -T`. Unknown lines are passed over.
[[nodiscard]] SshdPolicy parse_sshd_settings(std::string_view text);

// Returns true if the text of sshd_config has a keyword that frshd obeys, or a Match. Adds the
// arguments of Include to `includes`.
[[nodiscard]] bool has_policy_keyword(std::string_view text, std::vector<std::string>& includes);

// The part of a login that decides. `has_command`: the key or certificate has a forced command.
struct SshdSubject {
    std::string user;
    bool is_root = false;
    std::vector<std::string> groups = {};
    std::string address = {};
    bool has_command = false;
};
// Returns why sshd would refuse this login, or why frshd cannot obey a setting.
[[nodiscard]] std::optional<std::string> find_sshd_refusal(const SshdPolicy& policy,
                                                           const SshdSubject& subject,
                                                           SshdPolicyMode mode);

// Returns the paths of AuthorizedKeysFile for this user.
[[nodiscard]] std::vector<std::string> expand_key_files(const SshdPolicy& policy, const User& user);

struct SshdAnswer {
    std::optional<SshdPolicy> policy = {};    // Nothing: there is no sshd, or nothing to obey.
    std::optional<std::string> failure = {};  // Set: sshd did not answer. Refuse the login.
};
// Asks the machine's sshd. Blocks up to `timeout`. `host_key` is a file that lets sshd answer on a
// machine without host keys of its own.
[[nodiscard]] SshdAnswer ask_sshd(const User& user, const std::string& address,
                                  const std::string& host_key,
                                  std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace frsh
