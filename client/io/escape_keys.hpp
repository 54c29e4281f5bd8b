// EscapeKeys finds commands to frsh among the keys of a remote terminal: the escape character at
// the start of a line, and one more key.
//
//     ~.  leave        ~^Z  suspend        ~?  help        ~~  the escape character itself
//
// All other keys pass through unchanged. This file does no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class EscapeKeys {
  public:
    enum class Action { None, Leave, Suspend, Help };

    // Without a character, every key passes through.
    explicit EscapeKeys(std::optional<char> character) : character_(character) {}

    // Takes keys from the front of `typed` and appends those for the remote terminal to `out`.
    // Stops after the first key with an action here. Returns None once `typed` is empty.
    Action take(std::string_view& typed, std::string& out);

    // Returns the list of escapes, with the line ends of a raw terminal (CR LF).
    [[nodiscard]] std::string help() const;

  private:
    std::optional<char> character_;
    bool at_line_start_ = true;
    bool is_pending_ = false;  // Typed at the start of a line; held back until the next key.
};

}  // namespace frsh
