// What a person at a terminal says to frsh itself, among the keys that are for the other side: at
// the start of a line the escape character, and one more.
//
//     ~.  leave        ~^Z  suspend        ~?  help        ~~  the escape character itself
//
// Anything else goes through as it was typed. This file does no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class EscapeKeys {
  public:
    enum class Action { None, Leave, Suspend, Help };

    // Nothing: no escapes, every key goes through.
    explicit EscapeKeys(std::optional<char> character) : character_(character) {}

    // Takes keys from the front of `typed`, appends what is for the other side to `out`, and stops
    // behind the first that asks for something here. None: all of `typed` has been taken.
    Action take(std::string_view& typed, std::string& out);

    // What there is, as a person reads it, with the line ends of a raw terminal.
    [[nodiscard]] std::string help() const;

  private:
    std::optional<char> character_;
    bool at_line_start_ = true;
    bool is_pending_ = false;  // The character was typed at the start of a line, and is held back.
};

}  // namespace frsh
