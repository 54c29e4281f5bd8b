// The programs that stand beside the lessons: naive and fixed, in Python, Go and C.
//
// Each is a file under code/LESSON/ and is executed by a test. The build copies their text into the
// program, and so the page of `frsh-demo serve`, as lesson "web".
#pragma once

#include <string_view>
#include <vector>

namespace frsh::demo {

struct CodeFile {
    std::string_view lesson;
    std::string_view name;  // "naive.py"
    std::string_view text;
};

[[nodiscard]] const std::vector<CodeFile>& code_files();

}  // namespace frsh::demo
