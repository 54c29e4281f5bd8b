#include "client/io/history_walk.hpp"

#include "client/io/history_expansion.hpp"

#include <utility>

namespace frsh {

void HistoryWalk::begin(const std::string& text) {
    if (at_) return;
    typed_ = text;
    at_ = history_.size();
}

std::optional<std::string> HistoryWalk::older(const std::string& text) {
    begin(text);
    const auto number = history_.older_with_prefix(typed_, *at_, text);
    if (!number) return std::nullopt;
    at_ = number;
    return history_[*number];
}

std::optional<std::string> HistoryWalk::newer(const std::string& text) {
    if (!at_ || *at_ >= history_.size()) return std::nullopt;
    const auto number = history_.newer_with_prefix(typed_, *at_ + 1, text);
    if (!number) return newest();
    at_ = number;
    return history_[*number];
}

std::optional<std::string> HistoryWalk::older_by(std::size_t count, const std::string& text) {
    std::optional<std::string> found;
    for (; count > 0; --count) {
        auto next = older(found.value_or(text));
        if (!next) break;
        found = std::move(next);
    }
    return found;
}

std::optional<std::string> HistoryWalk::newer_by(std::size_t count, const std::string& text) {
    std::optional<std::string> found;
    for (; count > 0; --count) {
        auto next = newer(found.value_or(text));
        if (!next) break;
        found = std::move(next);
    }
    return found;
}

std::optional<std::string> HistoryWalk::oldest(const std::string& text) {
    begin(text);
    const auto number = history_.newer_with_prefix(typed_, 0, "");
    if (!number) return std::nullopt;
    at_ = number;
    return history_[*number];
}

std::optional<std::string> HistoryWalk::newest() {
    if (!at_) return std::nullopt;
    at_ = history_.size();
    return typed_;
}

std::optional<std::string> HistoryWalk::older_last_word() {
    std::size_t at = words_at_.value_or(history_.size());
    while (at > 0) {
        words_at_ = --at;
        const std::string_view word = last_word(history_[at]);
        if (!word.empty()) return std::string(word);
    }
    return std::nullopt;
}

}  // namespace frsh
