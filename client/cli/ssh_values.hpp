// The values of ssh_config(5): words in quotes, yes and no, times and counts.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns the text without the blanks at both ends.
[[nodiscard]] std::string_view trim_blanks(std::string_view text);

// Splits at blanks. Quotes of both kinds hold words together, a backslash takes the meaning of a
// quote, a backslash or a blank, and "#" begins a comment. Returns nothing for a quote without end.
[[nodiscard]] std::optional<std::vector<std::string>> cut_words(std::string_view text);

// Returns the value of "yes", "true", "no" or "false" in any case; nothing for another word.
[[nodiscard]] std::optional<bool> parse_ssh_flag(std::string_view text);

// Returns the time in "90", "1m30s" or "2h": sshd_config(5), TIME FORMATS. "none" is 0: no limit.
[[nodiscard]] std::optional<std::chrono::seconds> parse_ssh_time(std::string_view text);

// Returns a number up to a million; nothing for another text.
[[nodiscard]] std::optional<unsigned> parse_ssh_count(std::string_view text);

}  // namespace frsh
