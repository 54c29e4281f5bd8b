// The programs that a shell runs in its loop, as text: shell_loop.bash and shell_loop.sh, embedded
// by the build.
#pragma once

#include <string_view>

namespace frsh {

extern const std::string_view kBashLoop;
extern const std::string_view kShLoop;

}  // namespace frsh
