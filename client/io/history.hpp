// History is the list of typed lines that the prompt offers again: those of this host, and before
// them those of all hosts.
//
//     ~/.local/state/frsh/history          the lines of all hosts
//     ~/.local/state/frsh/history-TARGET   those of one
#pragma once

#include "client/io/history_file.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class History {
  public:
    // An empty history that no file stores.
    History() = default;
    // Loads the history for a target. If there is no folder for its files, it stays in memory.
    [[nodiscard]] static History of(std::string_view target);

    // Adds a line, also to the files. Leaves out an empty line, one that begins with a blank, and
    // one that equals the newest.
    void add(const std::string& line);

    // Number 0 is the oldest entry.
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] const std::string& operator[](std::size_t number) const {
        return entries_[number];
    }
    // Returns the newest entry; nothing if there is none.
    [[nodiscard]] std::optional<std::string_view> newest() const;

    // Each returns the number of the newest matching entry below `end`; nothing if none matches.
    // An entry that equals `skipped` does not match.
    [[nodiscard]] std::optional<std::size_t> older_with_prefix(std::string_view prefix,
                                                               std::size_t end,
                                                               std::string_view skipped) const;
    [[nodiscard]] std::optional<std::size_t> older_with(std::string_view part,
                                                        std::size_t end) const;
    // Each returns the number of the oldest matching entry from `begin` on.
    [[nodiscard]] std::optional<std::size_t> newer_with_prefix(std::string_view prefix,
                                                               std::size_t begin,
                                                               std::string_view skipped) const;
    [[nodiscard]] std::optional<std::size_t> newer_with(std::string_view part,
                                                        std::size_t begin) const;

  private:
    std::vector<std::string> entries_;
    std::vector<HistoryFile> files_;
};

// Returns the name of a target's own file: bytes that are not safe in a name become %XX.
[[nodiscard]] std::string history_name(std::string_view target);

}  // namespace frsh
