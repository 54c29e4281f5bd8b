// Whose session it may become: accounts, the rules of the machine about them, and the keys that
// open them.
//
// A root server serves every account of the machine; another server serves its own user only. Files
// of an account are read by a process that has become the account's user, irrevocably.
#pragma once

#include "common/sys/user.hpp"
#include "server/login/authorized_keys.hpp"

#include <optional>
#include <string>
#include <vector>

namespace frsh {

struct AccountPolicy {
    bool permit_root_login = false;
    bool permit_user_environment = false;
    // Patterns; see host_pattern.hpp. If a list is given, one pattern must match the user, or one
    // of the user's groups.
    std::optional<std::vector<std::string>> allow_users = {};
    std::optional<std::vector<std::string>> allow_groups = {};
};

// Nothing for an account that does not exist or is not ours to give.
[[nodiscard]] std::optional<User> find_account(const std::string& name);

// Returns why the account accepts no login now, or nothing. The text may go to a peer that has
// proved to own the account.
[[nodiscard]] std::optional<std::string> find_account_refusal(const User& user,
                                                              const AccountPolicy& policy);

// What a key opens, and under which conditions.
struct Grant {
    AuthorizedKey key;
    std::string where;  // "FILE:LINE", for the log.
};

// The first of these keys that opens the account from that address, and its index. Reads the
// account's files as its user; takes no longer than a few seconds, whatever they are.
struct FoundGrant {
    std::size_t index;
    Grant grant;
};
[[nodiscard]] std::optional<FoundGrant> find_grant(const User& user,
                                                   const std::vector<PublicKey>& keys,
                                                   const std::string& address);

// Becomes the user: groups, gid, uid, all of them, for ever, checked. Nothing to do for a process
// that is that user already. Throws SysError.
void become_user(const User& user);

}  // namespace frsh
