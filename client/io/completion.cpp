#include "client/io/completion.hpp"

#include "client/io/text_cells.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace frsh {
namespace {

constexpr std::string_view kSpecial = " \t\n!\"#$&'()*;<>?[\\]^`{|}~";
constexpr std::string_view kSpecialInQuotes = "\"$`\\!";
constexpr std::string_view kWordBreaks = "=:";

bool contains(std::string_view set, char c) {
    return set.find(c) != std::string_view::npos;
}

// Returns true for the words behind which a command begins.
bool begins_command(std::string_view word) {
    constexpr std::array<std::string_view, 11> kWords = {
        "then", "do", "else", "elif", "if", "{", "!", "while", "until", "time", "exec"};
    return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

// Splits the line up to the cursor into words, from left to right.
class PlaceFinder {
  public:
    explicit PlaceFinder(std::string_view text) : text_(text) {}

    CompletionPlace find() {
        while (at_ < text_.size())
            take(text_[at_++]);
        if (!is_in_word_) begin_word(text_.size());
        place_.words.push_back(std::string(text_.substr(place_.begin)));
        place_.command = std::string(text_.substr(command_begin_));
        const bool is_variable = place_.quote != '\'' && place_.value.starts_with('$') &&
                                 place_.value.find('/') == std::string::npos;
        if (is_variable) {
            place_.kind = CompletionPlace::Kind::Variable;
        } else if (is_behind_redirection_) {
            place_.kind = CompletionPlace::Kind::File;
        } else if (is_first_) {
            place_.kind = CompletionPlace::Kind::Command;
        } else {
            place_.kind = CompletionPlace::Kind::Argument;
        }
        return std::move(place_);
    }

  private:
    void take(char c) {
        const std::size_t here = at_ - 1;
        if (place_.quote != '\0') return take_quoted(c);
        if (contains(" \t", c)) return end_word(here);
        if (contains(";|&()\n`", c)) return begin_command(here);
        if (c == '<' || c == '>') {
            end_word(here);
            is_behind_redirection_ = true;
            return;
        }
        if (is_in_word_ && contains(kWordBreaks, c)) return break_word(here);
        if (!is_in_word_) begin_word(here);
        if (c == '\'' || c == '"') {
            place_.quote = c;
        } else if (c == '\\' && at_ < text_.size()) {
            place_.value += text_[at_++];
        } else {
            place_.value += c;
        }
    }

    void take_quoted(char c) {
        if (c == place_.quote) {
            place_.quote = '\0';
        } else if (c == '\\' && place_.quote == '"' && at_ < text_.size() &&
                   contains(kSpecialInQuotes, text_[at_])) {
            place_.value += text_[at_++];
        } else {
            place_.value += c;
        }
    }

    void begin_word(std::size_t at) {
        if (place_.words.empty()) command_begin_ = at;
        place_.begin = at;
        place_.value.clear();
        is_in_word_ = true;
    }

    void end_word(std::size_t at) {
        if (!is_in_word_) return;
        place_.words.push_back(std::string(text_.substr(place_.begin, at - place_.begin)));
        is_in_word_ = false;
        if (is_behind_redirection_) {
            is_behind_redirection_ = false;
            place_.words.pop_back();
        } else if (is_first_ && (is_assignment_ || begins_command(place_.words.back()))) {
            place_.words.clear();  // A command is still to come.
        } else {
            is_first_ = false;
        }
        is_assignment_ = false;
    }

    // An assignment before the command leaves the next word the first one.
    void break_word(std::size_t at) {
        if (text_[at] == '=' && is_first_) is_assignment_ = true;
        place_.words.push_back(std::string(text_.substr(place_.begin, at - place_.begin)));
        place_.words.push_back(std::string(text_.substr(at, 1)));
        begin_word(at + 1);
    }

    void begin_command(std::size_t at) {
        end_word(at);
        place_.words.clear();
        is_first_ = true;
        is_behind_redirection_ = false;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    CompletionPlace place_;
    std::size_t command_begin_ = 0;
    bool is_in_word_ = false;
    bool is_first_ = true;
    bool is_assignment_ = false;
    bool is_behind_redirection_ = false;
};

// Returns the part of a path that tells it apart in a list.
std::string_view last_part(std::string_view path) {
    const std::size_t end = path.ends_with('/') ? path.size() - 1 : path.size();
    const std::size_t slash = end == 0 ? std::string_view::npos : path.rfind('/', end - 1);
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string cell_of(std::string_view candidate) {
    std::string cell;
    const std::string_view part = last_part(candidate);
    for (std::size_t at = 0; at < part.size();) {
        const Cluster cluster = cluster_at(part, at);
        cell += shown_form(part, at, cluster);
        at += cluster.size;
    }
    return cell;
}

}  // namespace

CompletionPlace find_completion_place(std::string_view text_to_cursor) {
    return PlaceFinder(text_to_cursor).find();
}

std::string common_beginning(const std::vector<std::string>& candidates) {
    std::string_view common = candidates.front();
    for (const std::string& candidate : candidates) {
        const auto end =
            std::mismatch(common.begin(), common.end(), candidate.begin(), candidate.end()).first;
        common = common.substr(0, static_cast<std::size_t>(end - common.begin()));
    }
    const std::string& first = candidates.front();
    const auto is_inner_byte = [&first](std::size_t at) {
        return at < first.size() && (static_cast<unsigned char>(first[at]) & 0xC0) == 0x80;
    };
    while (!common.empty() && is_inner_byte(common.size()))
        common.remove_suffix(1);
    return std::string(common);
}

std::string as_typed(const std::string& candidate, const CompletionPlace& place,
                     Candidates candidates) {
    std::string_view value = candidate;
    const bool ends_in_blank = value.ends_with(' ');
    if (ends_in_blank) value.remove_suffix(1);
    const bool is_variable = place.kind == CompletionPlace::Kind::Variable;
    std::string typed;
    if (place.quote != '\0') typed += place.quote;
    for (std::size_t at = 0; at < value.size(); ++at) {
        const char c = value[at];
        const bool is_home = c == '~' && at == 0 && place.value.starts_with('~');
        const bool is_dollar = is_variable && at == 0;
        if (place.quote == '\'' && c == '\'') {
            typed += "'\\''";
            continue;
        }
        const std::string_view special = place.quote == '"'    ? kSpecialInQuotes
                                         : place.quote == '\'' ? ""
                                                               : kSpecial;
        if (contains(special, c) && !is_home && !is_dollar) typed += '\\';
        typed += c;
    }
    if (candidates == Candidates::Several) return typed;
    const bool goes_on = value.ends_with('/') || value.ends_with('=') || value.ends_with(':');
    if (goes_on && !ends_in_blank) return typed;
    if (place.quote != '\0') typed += place.quote;
    return typed + " ";
}

std::vector<std::string> list_in_columns(const std::vector<std::string>& candidates,
                                         unsigned columns, std::size_t most_rows) {
    constexpr unsigned kGap = 2;
    std::vector<std::string> cells;
    unsigned widest = 1;
    for (const std::string& candidate : candidates) {
        cells.push_back(cell_of(candidate));
        widest = std::max(widest, cells_of(cells.back()));
    }
    const std::size_t across = std::max(1U, (columns - 1) / (widest + kGap));
    const std::size_t down = (cells.size() + across - 1) / across;
    std::vector<std::string> rows(down);
    std::vector<std::size_t> counts(down);
    for (std::size_t column = 0; column < across; ++column) {
        for (std::size_t row = 0; row < down; ++row) {
            const std::size_t number = column * down + row;
            if (number >= cells.size()) continue;
            const std::size_t begin = column * (widest + kGap);
            const unsigned used = cells_of(rows[row]);
            if (begin > used) rows[row].append(begin - used, ' ');
            rows[row] += cells[number];
            ++counts[row];
        }
    }
    if (rows.size() <= most_rows || most_rows == 0) return rows;
    std::size_t hidden = 0;
    for (std::size_t row = most_rows - 1; row < down; ++row)
        hidden += counts[row];
    rows.resize(most_rows - 1);
    rows.push_back("and " + std::to_string(hidden) + " more");
    return rows;
}

}  // namespace frsh
