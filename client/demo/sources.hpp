// The places in frsh's own source that the lessons point at.
//
// sources.txt names each by its file and a snippet of the line. sources.cmake finds the lines at
// build time, so the numbers fit the source of this binary. The test demo-sources fails if a
// snippet is not found.
#pragma once

#include <string_view>
#include <vector>

namespace frsh::demo {

struct SourceLine {
    std::string_view key;
    std::string_view file;
    int line;               // 0 if the snippet was not found.
    std::string_view text;  // The text of the line.
};

[[nodiscard]] const std::vector<SourceLine>& source_lines();

}  // namespace frsh::demo
