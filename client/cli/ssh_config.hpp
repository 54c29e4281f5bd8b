// The settings of ~/.ssh/config for a host, as ssh itself reads them: `ssh -G`.
//
// What differs from ssh's defaults is taken (ssh_answer.hpp). Port is not taken, because it is the
// port of sshd, and frshd has another one. `ssh -G` starts a program. So the file is scanned first,
// and ssh runs only if the file may say something about this host. The answer is cached.
#pragma once

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_answer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns ssh's settings for the host. They are empty if there is no file, no ssh, or nothing about
// this host. Blocks up to five seconds. Throws UserError if ssh reports an error in the file: the
// host could be another one than the user means.
[[nodiscard]] SshAnswer ask_ssh(const std::string& host, const ConnectionSettings& settings);

// Returns the paths where ssh may be. Leaves out frsh itself, installed under the name "ssh".
[[nodiscard]] std::vector<std::string> find_ssh();

// A line of ssh_config(5): a keyword in lower case, then blanks or one "=", then arguments.
struct SshLine {
    std::string keyword;
    std::string_view rest;
};
[[nodiscard]] SshLine parse_ssh_line(std::string_view line);

// Returns true if the effect of the line depends on more than the files, the host and the user.
[[nodiscard]] bool is_dynamic_ssh_line(const SshLine& line);

// Returns true if a configuration with this text may set anything but Port for the host.
// Returns true in doubt.
[[nodiscard]] bool may_speak_of(std::string_view text, std::string_view host);

}  // namespace frsh
