#include "client/io/key_decoder.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace frsh {
namespace {

constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr char kEscape = 0x1B;
constexpr std::size_t kLongestSequence = 32;  // Bytes. A longer one is no key.

using Names = std::vector<std::pair<char, EditKey>>;

EditKey find(const Names& names, char name) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [name](const auto& entry) { return entry.first == name; });
    return found == names.end() ? EditKey::None : found->second;
}

// Returns the key of a control byte: 'A' for Ctrl-A.
EditKey control_key(char letter) {
    static const Names names = {
        {'A', EditKey::Home},          {'B', EditKey::Left},        {'D', EditKey::EndOfInput},
        {'E', EditKey::End},           {'F', EditKey::Right},       {'G', EditKey::Abort},
        {'H', EditKey::Backspace},     {'I', EditKey::Complete},    {'J', EditKey::Enter},
        {'K', EditKey::KillToEnd},     {'L', EditKey::ClearScreen}, {'M', EditKey::Enter},
        {'N', EditKey::Newer},         {'P', EditKey::Older},       {'R', EditKey::SearchOlder},
        {'S', EditKey::SearchNewer},   {'T', EditKey::Transpose},   {'U', EditKey::KillToStart},
        {'W', EditKey::KillBlankWord}, {'Y', EditKey::Yank},        {'_', EditKey::Undo},
        {'?', EditKey::Backspace}};
    return find(names, letter);
}

EditKey alt_key(char letter) {
    static const Names names = {{'b', EditKey::WordLeft},        {'f', EditKey::WordRight},
                                {'d', EditKey::KillWordRight},   {'.', EditKey::LastWord},
                                {'_', EditKey::LastWord},        {'y', EditKey::YankOlder},
                                {'u', EditKey::UpperWord},       {'l', EditKey::LowerWord},
                                {'c', EditKey::CapitalWord},     {'r', EditKey::Revert},
                                {'<', EditKey::Oldest},          {'>', EditKey::Newest},
                                {'\x7F', EditKey::KillWordLeft}, {'\b', EditKey::KillWordLeft}};
    const bool is_upper = letter >= 'A' && letter <= 'Z';
    return find(names, is_upper ? static_cast<char>(letter - 'A' + 'a') : letter);
}

EditKey of_word(EditKey key) {
    switch (key) {
        case EditKey::Left:
            return EditKey::WordLeft;
        case EditKey::Right:
            return EditKey::WordRight;
        case EditKey::Delete:
            return EditKey::KillWordRight;
        default:
            return key;
    }
}

// Returns the key of a control sequence by ECMA-48: its parameters, and its last byte. xterm adds
// 1 + (1 for Shift, 2 for Alt, 4 for Ctrl) as the second parameter.
EditKey sequence_key(std::string_view parameters, char last) {
    static const Names letters = {{'A', EditKey::Up},           {'B', EditKey::Down},
                                  {'C', EditKey::Right},        {'D', EditKey::Left},
                                  {'H', EditKey::Home},         {'F', EditKey::End},
                                  {'Z', EditKey::CompleteBack}, {'M', EditKey::Enter}};
    static const Names numbers = {{'1', EditKey::Home},    {'7', EditKey::Home},
                                  {'4', EditKey::End},     {'8', EditKey::End},
                                  {'3', EditKey::Delete},  {'5', EditKey::PageUp},
                                  {'6', EditKey::PageDown}};
    const auto parts = split(parameters, ';');
    const auto modifier = parts.size() > 1 ? parse_number(parts[1], 1, 16).value_or(1) : 1;
    EditKey key = EditKey::None;
    if (last != '~') {
        key = find(letters, last);
    } else if (parts[0].size() == 1) {
        key = find(numbers, parts[0][0]);
    }
    constexpr unsigned kAltOrCtrl = 2 | 4;
    return ((modifier - 1) & kAltOrCtrl) != 0 ? of_word(key) : key;
}

// Returns true if more bytes can make these a character of UTF-8.
bool is_begun_character(std::string_view bytes) {
    const auto lead = static_cast<unsigned char>(bytes[0]);
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    if (lead > 0xF4 || bytes.size() >= size) return false;
    return std::all_of(bytes.begin() + 1, bytes.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; });
}

// Returns pasted text as lines of a command. The newline at its end is none of it.
std::string lines_of(std::string_view pasted) {
    std::string text;
    for (std::size_t at = 0; at < pasted.size(); ++at) {
        if (pasted[at] == '\r' && pasted.substr(at + 1).starts_with('\n')) continue;
        text += pasted[at] == '\r' ? '\n' : pasted[at];
    }
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace

std::optional<KeyPress> KeyDecoder::next() {
    while (!raw_.empty()) {
        if (state_ == State::Paste) return take_paste();
        if (state_ == State::Quoted) {
            auto quoted = take_text();
            if (quoted) state_ = State::Ground;
            return quoted;
        }
        const auto byte = static_cast<unsigned char>(raw_[0]);
        if (byte == kEscape) {
            auto press = take_escape();
            if (!press && state_ == State::Paste) continue;
            return press;
        }
        if (byte < ' ' || byte == 0x7F) return take_control();
        if (std::exchange(state_, State::Ground) == State::Prefix) {
            drop(1);
            return KeyPress{};
        }
        return take_text();
    }
    return std::nullopt;
}

std::string KeyDecoder::take_rest() {
    if (state_ == State::Paste) return "";
    state_ = State::Ground;
    return std::exchange(raw_, {});
}

void KeyDecoder::clear() {
    state_ = State::Ground;
    raw_.clear();
    pasted_.clear();
}

std::optional<KeyPress> KeyDecoder::take_paste() {
    const std::size_t end = raw_.find(kPasteEnd);
    if (end != std::string::npos) {
        pasted_ += raw_.substr(0, end);
        drop(end + kPasteEnd.size());
        state_ = State::Ground;
        return KeyPress{EditKey::Paste, lines_of(std::exchange(pasted_, {}))};
    }
    // A read may cut the mark.
    const std::size_t kept = std::min(raw_.size(), kPasteEnd.size() - 1);
    pasted_ += raw_.substr(0, raw_.size() - kept);
    drop(raw_.size() - kept);
    return std::nullopt;
}

// Takes the next character as text. Drops a byte that is none.
std::optional<KeyPress> KeyDecoder::take_text() {
    if (is_begun_character(raw_)) return std::nullopt;
    const Character first = first_character(raw_);
    const bool is_character = first.value != 0 || raw_[0] == '\0';
    KeyPress press;
    if (is_character) press = {EditKey::Text, raw_.substr(0, first.size)};
    drop(first.size);
    return press;
}

KeyPress KeyDecoder::take_control() {
    const char letter = static_cast<char>(raw_[0] ^ '@');
    drop(1);
    if (std::exchange(state_, State::Ground) == State::Prefix) {
        return {letter == 'U' ? EditKey::Undo : EditKey::None};
    }
    if (letter == 'V' || letter == 'Q') state_ = State::Quoted;
    if (letter == 'X') state_ = State::Prefix;
    return {control_key(letter)};
}

std::optional<KeyPress> KeyDecoder::take_escape() {
    if (raw_.size() == 1) return std::nullopt;
    state_ = State::Ground;
    if (raw_[1] == '[' || raw_[1] == 'O') return take_sequence(1);
    if (raw_[1] == kEscape) {
        // Alt with an arrow is Escape and the arrow's sequence on some terminals.
        if (raw_.size() == 2) return std::nullopt;
        if (raw_[2] != '[' && raw_[2] != 'O') {
            drop(1);
            return KeyPress{};
        }
        auto press = take_sequence(2);
        if (press) press->key = of_word(press->key);
        return press;
    }
    const char letter = raw_[1];
    drop(2);
    if (letter == '\r') return KeyPress{EditKey::Text, "\n"};
    return KeyPress{alt_key(letter)};
}

// Takes a sequence whose introducer, "[" or "O", is at `begin`.
std::optional<KeyPress> KeyDecoder::take_sequence(std::size_t begin) {
    std::size_t end = begin + 1;
    const bool is_console = raw_.substr(end).starts_with('[');  // F1 of Linux: ESC [ [ A.
    if (is_console) ++end;
    while (end < raw_.size() && raw_[end] >= ' ' && raw_[end] < '@')
        ++end;
    if (end == raw_.size()) {
        if (end < kLongestSequence) return std::nullopt;
        drop(end);
        return KeyPress{};
    }
    const std::string parameters = raw_.substr(begin + 1, end - begin - 1);
    const char last = raw_[end];
    const bool is_short = raw_[begin] == 'O';
    drop(last >= '@' ? end + 1 : end);  // A control within a sequence begins anew.
    if (is_console || last < '@') return KeyPress{};
    if (parameters == "200" && last == '~') {
        state_ = State::Paste;
        return std::nullopt;
    }
    // rxvt sends a small letter for an arrow with Ctrl.
    if (is_short && (last == 'c' || last == 'd')) {
        return KeyPress{last == 'c' ? EditKey::WordRight : EditKey::WordLeft};
    }
    return KeyPress{sequence_key(parameters, last)};
}

}  // namespace frsh
