// Runs a program of the system during a login, with a deadline, and collects what it prints.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct ToolResult {
    static constexpr int kTimedOut = -1;  // The program was killed at the deadline.
    static constexpr int kNotStarted = -2;
    int status = kNotStarted;    // The exit status, 128+N after signal N, or one of the above.
    std::string output = {};     // What it wrote to stdout, at most 256 KiB.
    std::string last_line = {};  // From stderr, escaped; or why the program did not start.
};

// Runs argv[0], which is a path, with an empty environment. `input` becomes its descriptor 3, a
// file without a name, unless it is empty. Blocks up to `timeout`. Throws SysError if this process
// lacks a resource.
[[nodiscard]] ToolResult run_tool(const std::vector<std::string>& argv, std::string_view input,
                                  std::chrono::milliseconds timeout);

}  // namespace frsh
