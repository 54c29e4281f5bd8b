// The statements of the lecture notes, in their order. A test compares each part with the lesson.
#pragma once

#include "client/demo/text.hpp"

#include <vector>

namespace frsh::demo {

struct Statement {
    Text group;          // The heading before it, or empty.
    Text says;           // What the notes say.
    const char* lesson;  // Its name, or "" if no program can show it.
    Text part;           // The lesson's heading, or empty for the whole lesson.
    Text precisely;      // Where the notes are imprecise; empty otherwise.
};

[[nodiscard]] const std::vector<Statement>& statements();

}  // namespace frsh::demo
