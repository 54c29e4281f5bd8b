// Small files in ~/.local/state/frsh with what earlier commands learned about hosts: lines of
// "NAME VALUE", the newest first. Everything works without them, only slower.
#pragma once

#include <string>

namespace frsh {

// Returns the value of `name`, which may contain spaces, in this file; "" if it has none.
[[nodiscard]] std::string recall_line(const std::string& file, const std::string& name);
// Replaces the value of `name`. Removes the oldest lines of a large file. Logs errors and does not
// throw them.
void remember_line(const std::string& file, const std::string& name, const std::string& value);

}  // namespace frsh
