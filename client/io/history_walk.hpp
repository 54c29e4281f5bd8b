// HistoryWalk offers the entries of the history one after another in place of the typed line, and
// gives the typed line back at the end. Pure.
#pragma once

#include "client/io/history.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class HistoryWalk {
  public:
    // `history` is lent.
    explicit HistoryWalk(const History& history) : history_(history) {}

    // Each returns the text that replaces the line; nothing if there is no further entry. `text` is
    // the line as it is. The walk begins with the first call after stop().
    // Returns the next older entry that begins as the typed line.
    std::optional<std::string> older(const std::string& text);
    std::optional<std::string> newer(const std::string& text);
    // Moves by so many entries at most.
    std::optional<std::string> older_by(std::size_t count, const std::string& text);
    std::optional<std::string> newer_by(std::size_t count, const std::string& text);
    std::optional<std::string> oldest(const std::string& text);
    // Returns the typed line.
    std::optional<std::string> newest();
    // Ends the walk: the entry that is shown is now the typed line.
    void stop() { at_.reset(); }
    [[nodiscard]] bool is_walking() const { return at_.has_value(); }

    // Returns the last words of older and older entries: at first that of the newest.
    std::optional<std::string> older_last_word();
    void stop_words() { words_at_.reset(); }
    [[nodiscard]] bool has_words() const { return words_at_.has_value(); }

  private:
    void begin(const std::string& text);

    const History& history_;
    std::string typed_;
    std::optional<std::size_t> at_;        // The number of the entry that is shown.
    std::optional<std::size_t> words_at_;  // The number of the entry whose word was taken.
};

}  // namespace frsh
