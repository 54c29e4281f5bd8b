// The keywords of ssh_config(5) that frsh does not act on.
#pragma once

#include <string>
#include <string_view>

namespace frsh {

// Each takes a keyword in lower case.

// Returns true for a keyword that is accepted and ignored: a user cannot notice the difference.
[[nodiscard]] bool is_without_effect(std::string_view keyword);
// Returns true for a keyword that is refused unless its value switches it off.
[[nodiscard]] bool is_only_off(std::string_view keyword);

// Returns the keyword as ssh_config(5) writes it, "ForwardAgent", if a message may name it.
[[nodiscard]] std::string spelling_of(std::string_view keyword);

}  // namespace frsh
