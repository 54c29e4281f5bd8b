#include "client/io/history_expansion.hpp"

namespace frsh {
namespace {

constexpr std::string_view kBlanks = " \t\n";
constexpr std::string_view kOperators = ";&|<>()";

bool is_in(std::string_view set, char c) {
    return set.find(c) != std::string_view::npos;
}

// Tells for each byte of a command, from the first on, whether it stands in quotes.
class Quotes {
  public:
    // Takes the next byte.
    void take(char c) {
        const bool is_in_word = is_in_word_;
        const char before = before_;
        before_ = c;
        is_in_word_ = true;
        if (is_escaped_) {
            is_escaped_ = false;
            return;
        }
        if (state_ == State::Comment) {
            if (c == '\n') begin_word();
            return;
        }
        if (c == '\\' && state_ != State::Single) {
            is_escaped_ = true;
        } else if (state_ == State::None && c == '\'') {
            state_ = before == '$' ? State::Escapes : State::Single;
        } else if ((state_ == State::Single || state_ == State::Escapes) && c == '\'') {
            state_ = State::None;
        } else if (state_ == State::None && c == '"') {
            state_ = State::Double;
        } else if (state_ == State::Double && c == '"') {
            state_ = State::None;
        } else if (state_ == State::None && c == '#' && !is_in_word) {
            state_ = State::Comment;
        } else if (state_ == State::None && (is_in(kBlanks, c) || is_in(kOperators, c))) {
            begin_word();
        }
    }
    // Returns true if an exclamation mark as the next byte would mean the history.
    [[nodiscard]] bool permits_mark() const {
        if (is_escaped_ || (state_ != State::None && state_ != State::Double)) return false;
        return before_ != '$' && before_ != '[' && before_ != '{';
    }
    [[nodiscard]] bool is_outside() const { return state_ == State::None && !is_escaped_; }
    [[nodiscard]] bool is_in_comment() const { return state_ == State::Comment; }

  private:
    // None ── ' ──▶ Single, or Escapes behind a $ ── ' ──▶ None
    // None ── " ──▶ Double ── " ──▶ None
    // None ── # at the start of a word ──▶ Comment ── a newline ──▶ None
    enum class State { None, Single, Escapes, Double, Comment };

    void begin_word() {
        state_ = State::None;
        is_in_word_ = false;
    }

    State state_ = State::None;
    bool is_escaped_ = false;  // By the backslash just before.
    bool is_in_word_ = false;
    char before_ = '\0';
};

}  // namespace

std::optional<std::string> expand_history(std::string_view line,
                                          std::optional<std::string_view> newest,
                                          std::string_view head) {
    Quotes quotes;
    for (const char c : head)
        quotes.take(c);
    if (!head.empty()) quotes.take('\n');
    std::string result;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const std::string_view two = line.substr(at, 2);
        const bool is_line = two == "!!";
        const bool is_word = two == "!$";
        if ((is_line || is_word) && quotes.permits_mark()) {
            if (!newest) return std::nullopt;
            result += is_line ? *newest : last_word(*newest);
            quotes.take('x');  // What came in its place does not open or close a quote here.
            ++at;
            continue;
        }
        quotes.take(line[at]);
        result += line[at];
    }
    return result;
}

std::string_view last_word(std::string_view command) {
    enum class Kind { Gap, Word, Operator };
    Quotes quotes;
    Kind kind = Kind::Gap;
    std::size_t begin = 0;  // The word ends at `end`.
    std::size_t end = 0;
    int depth = 0;  // Open parentheses within a word: $(a b).
    for (std::size_t at = 0; at < command.size(); ++at) {
        const char c = command[at];
        const bool was_outside = quotes.is_outside();
        quotes.take(c);
        const bool is_plain = was_outside && quotes.is_outside();
        const bool opens =
            is_plain && c == '(' && (depth > 0 || (at > 0 && is_in("$<>", command[at - 1])));
        const bool closes = is_plain && c == ')' && depth > 0;
        Kind next = Kind::Word;
        if (opens || closes) {
            depth += opens ? 1 : -1;
        } else if (depth == 0 && (quotes.is_in_comment() || (is_plain && is_in(kBlanks, c)))) {
            next = Kind::Gap;
        } else if (depth == 0 && is_plain && is_in(kOperators, c)) {
            next = Kind::Operator;
        }
        if (next != Kind::Gap) {
            // Two equal operators are one word: `&&`. `<(` begins a word.
            const bool goes_on = kind == next ? next == Kind::Word || command[at - 1] == c
                                              : kind == Kind::Operator && opens;
            if (!goes_on) begin = at;
            end = at + 1;
        }
        kind = next;
    }
    return command.substr(begin, end - begin);
}

}  // namespace frsh
