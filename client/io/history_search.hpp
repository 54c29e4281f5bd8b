// HistorySearch finds entries by a part of them that is typed step by step (Ctrl-R). Pure.
#pragma once

#include "client/io/history.hpp"
#include "client/io/key_decoder.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace frsh {

class HistorySearch {
  public:
    // `history` is lent.
    explicit HistorySearch(const History& history) : history_(history) {}

    void begin(std::string typed);
    // Ends the search. Returns the line that it leaves: the match, else what was typed.
    std::string accept();
    // Ends the search. Returns what was typed before it.
    std::string abort();
    [[nodiscard]] bool is_on() const { return is_on_; }

    // Returns false if the key is none of the search: accept(), then let the key act on the line.
    bool apply(const KeyPress& press);

    // What is to be shown: the line, and the part of it that matches.
    [[nodiscard]] const std::string& line() const;
    [[nodiscard]] std::size_t match() const;
    [[nodiscard]] std::size_t match_size() const { return at_ ? part_.size() : 0; }
    // Returns the row below the line: what is searched for.
    [[nodiscard]] std::string status() const;

  private:
    void find_older(std::size_t end);
    void find_newer(std::size_t begin);

    const History& history_;
    bool is_on_ = false;
    bool has_failed_ = false;
    std::string typed_;
    std::string part_;
    std::optional<std::size_t> at_;
};

}  // namespace frsh
