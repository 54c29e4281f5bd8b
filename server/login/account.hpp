// Whose session it may become: accounts, the rules of the machine about them, and the keys that
// open them.
//
// As root every account of the machine; as anybody else one's own alone. Files of an account are
// only ever read by a process that has become that account's user for good.
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
    // Patterns; see host_pattern.hpp. Where there are any, one must match: the user, or one of his
    // groups.
    std::optional<std::vector<std::string>> allow_users = {};
    std::optional<std::vector<std::string>> allow_groups = {};
};

// Nothing for an account that does not exist or is not ours to give.
[[nodiscard]] std::optional<User> find_account(const std::string& name);

// Why nobody may log in there now, in words for whoever has proved to be its owner; or nothing.
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
