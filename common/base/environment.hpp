// Which variables of an environment are dangerous to pass on.
#pragma once

#include <string_view>

namespace frsh {

// Returns true for a variable that controls the dynamic linker, makes a shell run code before the
// command, or is frsh's own. The server refuses such a variable from every client.
[[nodiscard]] bool is_dangerous_variable(std::string_view name);

}  // namespace frsh
