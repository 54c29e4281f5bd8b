// ShellReports finds whole reports in the bytes that a shell's loop writes on its private
// descriptor (shell_loop.bash, shell_loop.sh).
//
// A report is a list of fields, each ended by a NUL byte:
//
//     "+N"                             the command of turn N begins; its stdin is open
//     "=N", status, folder, "."        the command of turn N has ended
//
// Each report begins with an empty field. If an interrupt tears a report, the shell makes a new
// one, and the torn one is dropped.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct ShellReport {
    enum class Kind { Began, Ended };
    Kind kind;
    std::string number;  // As the shell wrote it.
    std::string status;  // Ended only.
    std::string cwd;     // Ended only.
};

class ShellReports {
  public:
    // Calls `take` for each report that `bytes` completes.
    void feed(std::string_view bytes, const std::function<void(const ShellReport&)>& take);
    // Returns false if a field is longer than any real one: then the bytes cannot be understood.
    [[nodiscard]] bool is_plausible() const;

  private:
    std::string buffered_;             // The first bytes of an incomplete field.
    std::vector<std::string> fields_;  // The first fields of an incomplete report.
};

}  // namespace frsh
