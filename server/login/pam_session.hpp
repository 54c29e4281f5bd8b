// PAM for accounts and sessions (pam(8)), by the service "frshd" in /etc/pam.d/frshd.
//
// PAM does not authenticate: keys do that. It decides whether the account is open,
// and sets what belongs to a session: limits, the login uid, the session of systemd-logind. A
// session is closed by a process of root, the keeper, which waits for the end of the process that
// called open_pam_session().
//
// libpam is loaded at the first login (dlopen(3)): `frsh local` may start a server for each
// command.
#pragma once

#include "common/sys/user.hpp"

#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Returns true if this program was built with PAM and the service is configured.
[[nodiscard]] bool has_pam_service();

struct PamOutcome {
    std::optional<std::string> refusal = {};    // Set: no session was opened.
    std::vector<std::string> environment = {};  // "NAME=value".
};

// Asks PAM about the account, opens a session for this process and forks the keeper. Call it as
// root. Blocks as long as PAM's modules do. Throws SysError.
[[nodiscard]] PamOutcome open_pam_session(const User& user, const std::string& address);

// Sets the login uid of this process, by which the kernel's audit names the account
// (/proc/self/loginuid), unless it is set. A kernel without audit has none, which is no error.
void set_login_uid(uid_t uid);

}  // namespace frsh
