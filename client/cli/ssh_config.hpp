// What ~/.ssh/config says about a host, as ssh itself reads it: `ssh -G`.
//
// Three values are taken, HostName, User and IdentityFile. Port is not: it is sshd's, and frshd has
// one of its own. Asking costs the start of a program, so a look at the file first tells whether
// there is anything to be heard.
#pragma once

#include "client/cli/connection_settings.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Nothing where there is no file, or it has nothing on this host, or there is no ssh. Takes five
// seconds at most. Throws UserError where ssh cannot make sense of the file: the host that was
// meant might be another one.
[[nodiscard]] ConnectionSettings ask_ssh(const std::string& host,
                                         const ConnectionSettings& settings);

// Whether a configuration of this text could say any of the three about the host. In doubt, yes.
[[nodiscard]] bool may_speak_of(std::string_view text, std::string_view host);

// What `ssh -G` has printed. The usual key files, which it always names, are left out.
[[nodiscard]] ConnectionSettings parse_ssh_settings(std::string_view text);

}  // namespace frsh
