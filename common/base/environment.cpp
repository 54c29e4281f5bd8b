#include "common/base/environment.hpp"

#include <algorithm>
#include <array>

namespace frsh {

bool is_dangerous_variable(std::string_view name) {
    constexpr std::array<std::string_view, 9> kNames = {
        "BASH_ENV", "ENV", "ZDOTDIR", "PROMPT_COMMAND", "SHELLOPTS",
        "BASHOPTS", "IFS", "PS4",     "FPATH"};
    constexpr std::array<std::string_view, 3> kPrefixes = {"LD_", "FRSH_", "BASH_FUNC_"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
           std::any_of(kPrefixes.begin(), kPrefixes.end(),
                       [name](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace frsh
