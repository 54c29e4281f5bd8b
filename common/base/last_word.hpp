// The reason of a failure of this program itself: exit code 255 without a reason is of no use.
#pragma once

#include <string_view>

namespace frsh::log {

// As error(), but also with level Quiet. For the last line before exit code 255.
void last_word(std::string_view text);

}  // namespace frsh::log
