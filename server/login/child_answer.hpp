// Computes an answer in a child process: as another user, or because it may take too long.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace frsh {

// Calls `answer` in a child process, and returns its result. Blocks up to `timeout`. Returns "" if
// the child fails, which it logs, or takes longer. Throws SysError if this process lacks a
// resource.
[[nodiscard]] std::string answer_in_child(const std::function<std::string()>& answer,
                                          std::chrono::milliseconds timeout);

}  // namespace frsh
