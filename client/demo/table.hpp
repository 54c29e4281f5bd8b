// A table's columns, made to fit a terminal.
#pragma once

#include "client/demo/story.hpp"

namespace frsh::demo {

// Lines of text, at most `width` cells each: a head, a rule, and the rows, whose cells are wrapped
// where the columns would not fit otherwise.
[[nodiscard]] std::vector<std::string> table_lines(const Table& table, Language language,
                                                   std::size_t width);

}  // namespace frsh::demo
