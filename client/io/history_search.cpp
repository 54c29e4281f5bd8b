#include "client/io/history_search.hpp"

#include "client/io/text_cells.hpp"

#include <algorithm>
#include <utility>

namespace frsh {

void HistorySearch::begin(std::string typed) {
    is_on_ = true;
    has_failed_ = false;
    typed_ = std::move(typed);
    part_.clear();
    at_.reset();
}

std::string HistorySearch::accept() {
    is_on_ = false;
    return line();
}

std::string HistorySearch::abort() {
    is_on_ = false;
    return typed_;
}

const std::string& HistorySearch::line() const {
    return at_ ? history_[*at_] : typed_;
}

std::size_t HistorySearch::match() const {
    return at_ ? std::min(line().rfind(part_), line().size()) : 0;
}

bool HistorySearch::apply(const KeyPress& press) {
    switch (press.key) {
        case EditKey::Text:
        case EditKey::Paste:
            part_ += press.text;
            find_older(at_ ? *at_ + 1 : history_.size());  // The entry that is shown may match.
            return true;
        case EditKey::Backspace:
            part_.resize(previous_cluster(part_, part_.size()));
            at_.reset();
            find_older(history_.size());
            return true;
        case EditKey::SearchOlder:
            find_older(at_.value_or(history_.size()));
            return true;
        case EditKey::SearchNewer:
            find_newer(at_ ? *at_ + 1 : history_.size());
            return true;
        default:
            return false;
    }
}

void HistorySearch::find_older(std::size_t end) {
    if (part_.empty()) return;
    auto number = history_.older_with(part_, end);
    // The same command, run again, is no further match.
    while (number && at_ && *number < *at_ && history_[*number] == history_[*at_])
        number = history_.older_with(part_, *number);
    has_failed_ = !number;
    if (number) at_ = number;
}

void HistorySearch::find_newer(std::size_t begin) {
    if (part_.empty()) return;
    const auto number = history_.newer_with(part_, begin);
    has_failed_ = !number;
    if (number) at_ = number;
}

std::string HistorySearch::status() const {
    return (has_failed_ ? "no match: " : "search: ") + part_;
}

}  // namespace frsh
