// Lays out a table to fit a terminal.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace frsh::demo {

// Returns lines of at most `width` cells: a head, a rule, and the rows. Cells are wrapped if the
// columns do not fit.
[[nodiscard]] std::vector<std::string> table_lines(const Table& table, Language language,
                                                   std::size_t width);

}  // namespace frsh::demo
