// What the account's shell and the client's key leave a client to choose: programs and variables.
//
// A plain shell runs any program and sets any variable, so a request may do the same without it.
// Any other shell (rbash, git-shell, a menu) may be there to restrict the account, so nothing runs
// past it. OpenSSH's sshd never runs anything but through the account's shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns whether the shell, a path, is one that restricts nothing. A pattern with a slash is for
// whole paths, another one for a shell of that name in a folder of the system. Without patterns,
// the usual names count.
[[nodiscard]] bool is_plain_shell(std::string_view shell,
                                  const std::optional<std::vector<std::string>>& patterns);

// Returns whether a variable is kept from a bound key and a restricted shell, whatever a pattern
// permits: a dangerous one, or one that makes common programs run or load something else.
[[nodiscard]] bool is_restricted_variable(std::string_view name);

// Returns why a client may not set these variables ("NAME=VALUE"), or nothing.
[[nodiscard]] std::optional<std::string> find_dangerous_variable(
    const std::vector<std::string>& env);

// Returns a command for a shell that has exactly these words. The first word is bare if it is no
// assignment and no keyword, since git-shell knows its commands only so. All others are quoted.
[[nodiscard]] std::string quote_program(const std::vector<std::string>& argv);

}  // namespace frsh
