// History expansion, as bash has it: `!!` is the line before, and `!$` is the last word of that.
// Other words with an exclamation mark stay as they are. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// Returns the line with each `!!` and `!$` replaced; nothing if there is one to replace and no line
// before. A backslash or single quotes keep the mark. So do a comment, and the forms of the shell
// that have one: `$!`, `${!name}` and `[!a]`. `head` has the lines of the same command that were
// typed before this one: a quote in it may be open.
[[nodiscard]] std::optional<std::string> expand_history(std::string_view line,
                                                        std::optional<std::string_view> newest,
                                                        std::string_view head = {});

// Returns the last word of a command: a quoted text is one word, an operator is one too, and a
// comment has none. Empty if there is none.
[[nodiscard]] std::string_view last_word(std::string_view command);

}  // namespace frsh
