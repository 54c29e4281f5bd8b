// The programs that a shell runs in its loop, as text: shell_loop.bash, shell_loop.sh and
// shell_loop.zsh, embedded by the build.
#pragma once

#include <string_view>

namespace frsh {

extern const std::string_view kBashLoop;
extern const std::string_view kShLoop;
extern const std::string_view kZshHooks;

}  // namespace frsh
