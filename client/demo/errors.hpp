// The errors of frsh-demo in the language of the learner: those of the command line, with the
// checks that find them, and those of a lesson that cannot go on.
#pragma once

#include "client/demo/text.hpp"

#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace frsh::demo {

// Checks for CLI11: each returns a function that returns what is wrong with a value, or "".
using ValueCheck = std::function<std::string(const std::string&)>;
[[nodiscard]] ValueCheck one_of(std::vector<std::string> names, Language language);
[[nodiscard]] ValueCheck whole_between(long least, long most, Language language);
[[nodiscard]] ValueCheck not_negative(Language language);

// Returns an error of CLI11 in Chinese: `kind` is the name of its class, `text` what it reports.
[[nodiscard]] std::string in_chinese(const std::string& kind, const std::string& text);

// Returns the text of an error that ended a lesson. The name of a system call and a path stay.
[[nodiscard]] std::string text_of(const std::exception& error, Language language);

}  // namespace frsh::demo
