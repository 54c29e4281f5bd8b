// What Tab completes: the word before the cursor, how candidates are put in its place, and how
// several are listed. Pure; a Completer finds the candidates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// The word that is to be completed.
struct CompletionPlace {
    enum class Kind : std::uint8_t {
        Command,   // The first word of a command.
        Argument,  // Another word of it.
        File,      // Behind a redirection.
        Variable,  // "$HO": its value begins with the dollar.
    };
    Kind kind = Kind::Command;
    // The words of the simple command up to the cursor, as typed. As in COMP_WORDS of bash, "=" and
    // ":" are words of their own. The last one is to be completed; it may be empty.
    std::vector<std::string> words;
    std::size_t begin = 0;     // The offset in the line of what is replaced.
    std::string value = {};    // It without its quotes.
    char quote = '\0';         // The quote that is open at the cursor.
    std::string command = {};  // The simple command up to the cursor, as typed.
};
[[nodiscard]] CompletionPlace find_completion_place(std::string_view text_to_cursor);

// Returns the longest text with which all candidates begin; `candidates` is not empty. It ends
// between two characters of UTF-8.
[[nodiscard]] std::string common_beginning(const std::vector<std::string>& candidates);

// Returns the candidate as it is typed at this place: quoted like the word before it. If it is the
// only one, the word ends behind it, except behind a folder and the like.
enum class Candidates : std::uint8_t { One, Several };
[[nodiscard]] std::string as_typed(const std::string& candidate, const CompletionPlace& place,
                                   Candidates candidates);

// Returns the candidates in columns, a row each, sorted down the columns. Paths are shown by their
// last part. If there are too many rows, the last one counts the rest.
[[nodiscard]] std::vector<std::string> list_in_columns(const std::vector<std::string>& candidates,
                                                       unsigned columns, std::size_t most_rows);

// Finds candidates without blocking.
struct Completer {
    using Reply = std::function<void(std::vector<std::string>)>;
    // Begins a search for the word before the cursor. Calls `reply` at most once, perhaps at once.
    std::function<void(std::string_view text_to_cursor, Reply reply)> begin;
    // Ends the search; `reply` is not called any more.
    std::function<void()> cancel;
};

}  // namespace frsh
