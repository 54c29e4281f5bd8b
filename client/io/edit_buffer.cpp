#include "client/io/edit_buffer.hpp"

#include "client/io/text_cells.hpp"

#include <algorithm>
#include <utility>

namespace frsh {
namespace {

constexpr std::size_t kMostUndo = 500;
constexpr std::size_t kMostTaken = 20;

bool is_word_byte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

char to_case(char c, bool is_upper) {
    if (is_upper && c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
    if (!is_upper && c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c;
}

}  // namespace

void EditBuffer::clear() {
    text_.clear();
    cursor_ = 0;
    undo_.clear();
    last_ = Last::Other;
}

void EditBuffer::set(std::string text) {
    save();
    text_ = std::move(text);
    cursor_ = text_.size();
    last_ = Last::Other;
}

void EditBuffer::insert(std::string_view text) {
    replace(cursor_, cursor_, text);
}

void EditBuffer::replace(std::size_t begin, std::size_t end, std::string_view text) {
    save();
    text_.replace(begin, end - begin, text);
    cursor_ = begin + text.size();
    last_ = Last::Other;
}

void EditBuffer::move_to(std::size_t cursor) {
    cursor_ = std::min(cursor, text_.size());
    last_ = Last::Other;
}

bool EditBuffer::apply(const KeyPress& press) {
    if (press.key == EditKey::Text) {
        type(press.text);
        return true;
    }
    if (press.key == EditKey::Paste) {
        insert(press.text);
        return true;
    }
    if (kill(press.key)) return true;
    if (press.key == EditKey::Yank) {
        if (!taken_.empty()) {
            yanked_number_ = taken_.size() - 1;
            yank(taken_.back());
        }
        return true;
    }
    if (press.key == EditKey::YankOlder) {
        yank_older();
        return true;
    }
    last_ = Last::Other;
    return move(press.key) || change(press.key);
}

bool EditBuffer::move(EditKey key) {
    switch (key) {
        case EditKey::Left:
            cursor_ = previous_cluster(text_, cursor_);
            return true;
        case EditKey::Right:
            cursor_ = next_cluster(text_, cursor_);
            return true;
        case EditKey::WordLeft:
            cursor_ = word_left();
            return true;
        case EditKey::WordRight:
            cursor_ = word_right();
            return true;
        case EditKey::Home:
            cursor_ = line_start();
            return true;
        case EditKey::End:
            cursor_ = line_end();
            return true;
        default:
            return false;
    }
}

// Takes text out, so that Ctrl-Y can put it back.
bool EditBuffer::kill(EditKey key) {
    switch (key) {
        case EditKey::KillBlankWord:
            cut(blank_word_left(), cursor_);
            return true;
        case EditKey::KillWordLeft:
            cut(word_left(), cursor_);
            return true;
        case EditKey::KillWordRight:
            cut(cursor_, word_right());
            return true;
        case EditKey::KillToStart:
            // At the start of a line of several, the newline before it.
            cut(cursor_ > 0 ? std::min(line_start(), cursor_ - 1) : 0, cursor_);
            return true;
        case EditKey::KillToEnd:
            cut(cursor_, cursor_ == line_end() ? next_cluster(text_, cursor_) : line_end());
            return true;
        default:
            return false;
    }
}

bool EditBuffer::change(EditKey key) {
    switch (key) {
        case EditKey::Backspace:
            erase(previous_cluster(text_, cursor_), cursor_);
            return true;
        case EditKey::Delete:
        case EditKey::EndOfInput:
            erase(cursor_, next_cluster(text_, cursor_));
            return true;
        case EditKey::Transpose:
            transpose();
            return true;
        case EditKey::UpperWord:
        case EditKey::LowerWord:
        case EditKey::CapitalWord:
            change_case(key);
            return true;
        case EditKey::Undo:
            undo();
            return true;
        case EditKey::Revert:
            if (!undo_.empty()) undo_.resize(1);
            undo();
            return true;
        default:
            return false;
    }
}

void EditBuffer::type(const std::string& text) {
    // A word is undone at once.
    if (last_ != Last::Typing || (!text.empty() && is_blank(text[0]))) save();
    text_.insert(cursor_, text);
    cursor_ += text.size();
    last_ = Last::Typing;
}

void EditBuffer::cut(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    save();
    const std::string piece = text_.substr(begin, end - begin);
    if (last_ != Last::Kill || taken_.empty()) {
        taken_.push_back(piece);
        if (taken_.size() > kMostTaken) taken_.erase(taken_.begin());
    } else if (begin < cursor_) {
        taken_.back().insert(0, piece);
    } else {
        taken_.back() += piece;
    }
    text_.erase(begin, end - begin);
    cursor_ = begin;
    last_ = Last::Kill;
}

void EditBuffer::erase(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    save();
    text_.erase(begin, end - begin);
    cursor_ = begin;
}

void EditBuffer::yank(std::string_view text) {
    yanked_ = cursor_;
    insert(text);
    last_ = Last::Yank;
}

void EditBuffer::yank_older() {
    if (last_ != Last::Yank) return;
    yanked_number_ = (yanked_number_ == 0 ? taken_.size() : yanked_number_) - 1;
    replace(yanked_, cursor_, taken_[yanked_number_]);
    last_ = Last::Yank;
}

void EditBuffer::undo() {
    if (undo_.empty()) return;
    text_ = std::move(undo_.back().text);
    cursor_ = undo_.back().cursor;
    undo_.pop_back();
}

// Swaps the clusters around the cursor; at the end, the two before it.
void EditBuffer::transpose() {
    std::size_t middle = cursor_;
    if (middle == line_end()) middle = previous_cluster(text_, middle);
    const std::size_t begin = previous_cluster(text_, middle);
    const std::size_t end = next_cluster(text_, middle);
    if (begin == middle || middle == end || text_[begin] == '\n') return;
    replace(begin, end, text_.substr(middle, end - middle) + text_.substr(begin, middle - begin));
}

void EditBuffer::change_case(EditKey key) {
    const std::size_t begin = cursor_;
    std::string word = text_.substr(begin, word_right() - begin);
    bool is_first = true;
    for (char& c : word) {
        if (!is_word_byte(c)) continue;
        const bool is_capital = key == EditKey::CapitalWord && is_first;
        c = to_case(c, key == EditKey::UpperWord || is_capital);
        is_first = false;
    }
    replace(begin, begin + word.size(), word);
}

void EditBuffer::save() {
    undo_.push_back({text_, cursor_});
    if (undo_.size() > kMostUndo) undo_.erase(undo_.begin());
}

bool EditBuffer::line_up() {
    const std::size_t start = line_start();
    if (start == 0) return false;
    const unsigned column = cells_of(std::string_view(text_).substr(start, cursor_ - start));
    move_to(start - 1);
    cursor_ = line_start();
    while (cursor_ < start - 1 &&
           cells_of(std::string_view(text_).substr(line_start(), cursor_ - line_start())) < column)
        cursor_ = next_cluster(text_, cursor_);
    return true;
}

bool EditBuffer::line_down() {
    const std::size_t end = line_end();
    if (end == text_.size()) return false;
    const std::size_t before = line_start();
    const unsigned column = cells_of(std::string_view(text_).substr(before, cursor_ - before));
    move_to(end + 1);
    const std::size_t start = cursor_;
    while (cursor_ < line_end() &&
           cells_of(std::string_view(text_).substr(start, cursor_ - start)) < column)
        cursor_ = next_cluster(text_, cursor_);
    return true;
}

std::size_t EditBuffer::line_start() const {
    const std::size_t newline = cursor_ == 0 ? std::string::npos : text_.rfind('\n', cursor_ - 1);
    return newline == std::string::npos ? 0 : newline + 1;
}

std::size_t EditBuffer::line_end() const {
    return std::min(text_.find('\n', cursor_), text_.size());
}

std::size_t EditBuffer::word_left() const {
    std::size_t at = cursor_;
    while (at > 0 && !is_word_byte(text_[at - 1]))
        --at;
    while (at > 0 && is_word_byte(text_[at - 1]))
        --at;
    return at;
}

std::size_t EditBuffer::word_right() const {
    std::size_t at = cursor_;
    while (at < text_.size() && !is_word_byte(text_[at]))
        ++at;
    while (at < text_.size() && is_word_byte(text_[at]))
        ++at;
    return at;
}

std::size_t EditBuffer::blank_word_left() const {
    std::size_t at = cursor_;
    while (at > 0 && is_blank(text_[at - 1]))
        --at;
    while (at > 0 && !is_blank(text_[at - 1]))
        --at;
    return at;
}

}  // namespace frsh
