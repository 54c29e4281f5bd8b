// The two drawings of a page, as SVG. Colours come from the page's style sheet, by class.
#pragma once

#include "client/demo/story.hpp"

#include <string>
#include <string_view>

namespace frsh::demo {

[[nodiscard]] std::string escape_html(std::string_view text);

[[nodiscard]] std::string draw(const Ribbon& ribbon, Language language);
[[nodiscard]] std::string draw(const Timeline& timeline, Language language);

}  // namespace frsh::demo
