#include "client/io/escape_keys.hpp"

namespace frsh {
namespace {

constexpr char kControlZ = 0x1A;

}  // namespace

EscapeKeys::Action EscapeKeys::take(std::string_view& typed, std::string& out) {
    while (!typed.empty()) {
        const char key = typed.front();
        typed.remove_prefix(1);
        if (is_pending_) {
            is_pending_ = false;
            if (key == '.') return Action::Leave;
            if (key == kControlZ) return Action::Suspend;
            if (key == '?') return Action::Help;
            // The escape character twice sends one. Before a key without a meaning, it is sent,
            // too.
            if (key != *character_) out += *character_;
        } else if (at_line_start_ && key == character_) {
            is_pending_ = true;
            continue;
        }
        out += key;
        at_line_start_ = key == '\r' || key == '\n';
    }
    return Action::None;
}

std::string EscapeKeys::help() const {
    const char key = character_.value_or('~');
    const std::string name = key >= 0 && key < ' ' ? std::string("^") + static_cast<char>(key + '@')
                                                   : std::string(1, key);
    std::string text = name + "?\r\n";  // Shown as if the terminal had echoed it.
    text += name + ".   leave: the program there is ended\r\n";
    text += name + "^Z  suspend frsh\r\n";
    text += name + "?   this\r\n";
    text += name + name + "  send " + name + "\r\n";
    return text + "(At the start of a line only.)\r\n";
}

}  // namespace frsh
