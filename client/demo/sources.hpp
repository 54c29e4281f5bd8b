// The places in frsh's own source that the lessons point at.
//
// sources.txt names each by file and by a snippet of the line; sources.cmake looks the lines up
// when this is built, so the numbers are those of the source the binary was made from. The test
// demo-sources fails as soon as a snippet is gone.
#pragma once

#include <string_view>
#include <vector>

namespace frsh::demo {

struct SourceLine {
    std::string_view key;
    std::string_view file;
    int line;               // 0 where the snippet was not found.
    std::string_view text;  // What stands there.
};

[[nodiscard]] const std::vector<SourceLine>& source_lines();

}  // namespace frsh::demo
