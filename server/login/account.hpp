// Accounts: whether they exist, whether they may log in here, and which keys open them.
//
// A root server serves every account of the machine; another server serves its own user only. The
// files of an account are read by a process that has become the account's user for good.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "common/sys/user.hpp"
#include "server/login/authorized_keys.hpp"
#include "server/login/sshd_policy.hpp"

#include <optional>
#include <string>
#include <vector>

namespace frsh {

struct AccountPolicy {
    bool permit_root_login = false;
    bool permit_user_environment = false;
    bool uses_pam = false;  // PAM decides about the account's age (pam_session.hpp).
    // Patterns; see host_pattern.hpp. If a list is given, one pattern must match the user, or one
    // of the user's groups.
    std::optional<std::vector<std::string>> allow_users = {};
    std::optional<std::vector<std::string>> allow_groups = {};
    SshdPolicyMode sshd = SshdPolicyMode::Obey;  // As root only.
    std::string revoked_keys = {};               // A path; empty: none. See revoked_keys.hpp.
    std::string trusted_user_ca_keys = {};       // A path; empty: none.
};

// Returns the account; nothing if it does not exist or this server does not serve it.
[[nodiscard]] std::optional<User> find_account(const std::string& name);

// Returns why the account accepts no login now, or nothing. The text may go to a peer that has
// proved to own the account.
[[nodiscard]] std::optional<std::string> find_account_refusal(const User& user,
                                                              const AccountPolicy& policy);

// An entry of an authorized_keys file that opens the account, with its conditions.
struct Grant {
    AuthorizedKey key;
    std::string where;  // "FILE:LINE", for the log.
};

// Returns the names of all groups of the user.
[[nodiscard]] std::vector<std::string> groups_of(const User& user);

struct KeySearch {
    std::string address;  // The peer's; see find_refusal().
    // The files of keys instead of the usual ones. frsh's own file is read only if the list has
    // ~/.ssh/authorized_keys: without it, the machine's owner lets no user add keys.
    std::optional<std::vector<std::string>> files = {};
};

// The first of these keys that opens the account from that address, and its index. Reads the
// account's files as its user. Blocks up to five seconds for another user's files.
struct FoundGrant {
    std::size_t index;
    Grant grant;
};
[[nodiscard]] std::optional<FoundGrant> find_grant(const User& user,
                                                   const std::vector<Credential>& keys,
                                                   const KeySearch& how);

// Returns a file that decides about logins of the user, read as that user. Returns nothing if it is
// missing or if another user could have written it, which is logged. Blocks up to five seconds.
[[nodiscard]] std::optional<std::string> read_as_user(const User& user, const std::string& path);

// Puts this process into a new session keyring (keyctl(2)). The old one belongs to the shell or the
// service that started the server, and a process that has it can read its keys as any user. Call it
// as root: the new keyring then counts towards root's quota, which is large. Throws SysError.
void leave_session_keyring();

// Becomes the user for good: sets groups, gid and uid, and checks that there is no way back. Does
// nothing if the process runs as that user, except root. Throws SysError.
void become_user(const User& user);

}  // namespace frsh
