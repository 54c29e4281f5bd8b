#include "server/run/typing.hpp"

namespace frsh {

// A program that shows typed text again has read the password before it, or has thrown it away.
void Typing::after(std::string_view bytes, const TypingModes& modes) {
    const bool is_line_end = bytes.ends_with('\n') || bytes.ends_with('\r');
    if (!modes.has_echo && !modes.has_lines) {
        secret_ = Secret::Keys;
    } else if (!modes.has_echo) {
        secret_ = is_line_end ? Secret::EndedLine : Secret::Line;
    } else if (secret_ == Secret::Keys || secret_ == Secret::EndedLine) {
        secret_ = Secret::None;
    }
}

}  // namespace frsh
