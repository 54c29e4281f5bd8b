// What the prompt shows, and what it knows about a typed command before that runs. No descriptor
// and no link: the mode passes in what it has observed.
#pragma once

#include "common/proto/message.hpp"
#include "common/proto/outcome.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct PromptFacts {
    std::string user;
    std::string host;
    std::string cwd;
    std::string home;
    int last_code = 0;
    bool has_colour = false;
    bool is_split = false;  // stdout and stderr are apart.
};
// Returns the prompt. Bytes between two \1 have no width on the screen.
[[nodiscard]] std::string prompt_text(const PromptFacts& facts);

// Returns the folder with the home as "~".
[[nodiscard]] std::string short_folder(const std::string& cwd, const std::string& home);
// Returns "3.2 s", "4 min 5 s" or "1 h 2 min".
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds time);
// Returns the line above the first prompt. `software` is the server's, "frshd/VERSION".
[[nodiscard]] std::string greeting(std::string_view software, std::string_view host,
                                   std::string_view shell);

// Returns the text of :help.
[[nodiscard]] std::string_view prompt_help();

// Returns true if the text may be incomplete (an open quote, a here-document, a compound command).
// Only then a shell is run to check it, so that a plain line costs nothing.
[[nodiscard]] bool may_be_incomplete(const std::string& text);
// Returns true if the text ends in a backslash that continues the line.
[[nodiscard]] bool ends_in_continuation(std::string_view text);

// Returns the request for `SHELL -n`, which reads the command from its stdin. The caller sets the
// run id.
[[nodiscard]] msg::Open completeness_request(const std::string& shell);
// What `SHELL -n` found out about a command.
enum class Completeness {
    Complete,
    Incomplete,
    Unknown,  // The check itself did not run to its end.
};
[[nodiscard]] Completeness completeness_of(const Outcome& check, std::string_view its_stderr);

}  // namespace frsh
