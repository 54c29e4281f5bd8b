#include "client/demo/story.hpp"

#include "client/demo/sources.hpp"
#include "common/base/error.hpp"

#include <algorithm>

namespace frsh::demo {

void Story::source(std::string_view key, const Text& text) {
    const auto& all = source_lines();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const SourceLine& line) { return line.key == key; });
    must(found != all.end(), "a lesson points only at what sources.txt names");
    std::string place(found->file);
    if (found->line > 0) place.append(":").append(std::to_string(found->line));
    tell(Source{std::move(place), std::string(found->text), text});
}

}  // namespace frsh::demo
