// The settings of ~/.ssh/config for a host, as ssh itself reads them: `ssh -G`.
//
// Three values are taken: HostName, User and IdentityFile. Port is not taken, because it is the
// port of sshd, and frshd has another one. `ssh -G` starts a program. So the file is scanned first,
// and ssh runs only if the file may have one of the three values for this host.
#pragma once

#include "client/cli/connection_settings.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Returns ssh's settings for the host. They are empty if there is no file, no ssh, or nothing about
// this host. Blocks up to five seconds. Throws UserError if ssh reports an error in the file: the
// host could be another one than the user means.
[[nodiscard]] ConnectionSettings ask_ssh(const std::string& host,
                                         const ConnectionSettings& settings);

// Returns true if a configuration with this text may have one of the three values for the host.
// Returns true in doubt.
[[nodiscard]] bool may_speak_of(std::string_view text, std::string_view host);

// Parses the output of `ssh -G`. Leaves out the usual key files, which ssh always prints.
[[nodiscard]] ConnectionSettings parse_ssh_settings(std::string_view text);

}  // namespace frsh
