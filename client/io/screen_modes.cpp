#include "client/io/screen_modes.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <array>

namespace frsh {
namespace {

// No sequence that matters is longer. A longer one is skipped.
constexpr std::size_t kMaxParameters = 64;

// A DEC private mode, as in xterm's "Control Sequences", in the order in which they are undone.
struct PrivateMode {
    int number;
    bool is_usually_on;
};
constexpr std::array kPrivateModes = {
    PrivateMode{9, false},    PrivateMode{1000, false}, PrivateMode{1001, false},
    PrivateMode{1002, false}, PrivateMode{1003, false},  // Mouse reports,
    PrivateMode{1005, false}, PrivateMode{1006, false}, PrivateMode{1015, false},
    PrivateMode{1016, false},  // their encodings,
    PrivateMode{1004, false},  // focus reports,
    PrivateMode{2004, false},  // bracketed paste,
    PrivateMode{1, false},     // cursor keys of applications (DECCKM),
    PrivateMode{5, false},     // reverse video,
    PrivateMode{6, false},     // addresses within the scroll region,
    PrivateMode{7, true},      // lines wrap,
    PrivateMode{2026, false},  // the screen is updated later,
    PrivateMode{47, false},   PrivateMode{1047, false}, PrivateMode{1049, false},  // second screen,
    PrivateMode{25, true},  // the cursor is visible.
};

}  // namespace

void ScreenModes::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        if (state_ == State::Ground) {
            const std::size_t next = bytes.find('\x1b');
            if (next == std::string_view::npos) return;
            bytes.remove_prefix(next);
        }
        take(bytes.front());
        bytes.remove_prefix(1);
    }
}

void ScreenModes::take(char byte) {
    constexpr char kEscape = '\x1b';
    constexpr char kCancel = '\x18';
    constexpr char kSubstitute = '\x1a';
    if (byte == kEscape) {
        state_ = State::Escape;
        return;
    }
    if (byte == kCancel || byte == kSubstitute) {
        state_ = State::Ground;
        return;
    }
    switch (state_) {
        case State::Ground:
            return;
        case State::Escape:
            return end_escape(byte);
        case State::Text:
            if (byte == '\a') state_ = State::Ground;
            return;
        case State::Charset:
            has_line_drawing_ = byte == '0';
            state_ = State::Ground;
            return;
        case State::Control:
            break;
    }
    if (byte >= '@' && byte <= '~') {
        state_ = State::Ground;
        if (parameters_.size() <= kMaxParameters) end_control(byte);
    } else if (byte >= ' ' && parameters_.size() <= kMaxParameters) {
        parameters_ += byte;  // A control character within a sequence takes effect at once.
    }
}

void ScreenModes::end_escape(char byte) {
    state_ = State::Ground;
    if (byte == '[') {
        parameters_.clear();
        state_ = State::Control;
    } else if (std::string_view("]PX^_").find(byte) != std::string_view::npos) {
        state_ = State::Text;
    } else if (byte == '(') {
        state_ = State::Charset;
    } else if (byte == 'c') {
        clear();  // A full reset.
    } else if (byte == '=' || byte == '>') {
        has_keypad_mode_ = byte == '=';
    }
}

void ScreenModes::end_control(char final) {
    const bool is_private = parameters_.starts_with('?');
    if (final == 'h' || final == 'l') {
        const bool is_on = final == 'h';
        if (is_private) {
            set_private_modes(is_on);
        } else if (parameters_ == "4") {
            has_insert_mode_ = is_on;
        }
    } else if (final == 'm' && parameters_.find_first_of("?<=> ") == std::string::npos) {
        const std::string_view last =
            std::string_view(parameters_).substr(parameters_.find_last_of(';') + 1);
        has_style_ = !last.empty() && last.find_first_not_of('0') != std::string_view::npos;
    } else if (final == 'p' && parameters_ == "!") {
        has_insert_mode_ = has_style_ = has_keypad_mode_ = has_line_drawing_ = false;
        for (const int mode : {1, 6, 7, 25})
            private_modes_.erase(mode);
    }
}

void ScreenModes::set_private_modes(bool is_on) {
    for (const std::string_view text : split(std::string_view(parameters_).substr(1), ';')) {
        const auto number = parse_number(text, 1, 9999);
        const auto* const mode =
            std::find_if(kPrivateModes.begin(), kPrivateModes.end(), [&](const PrivateMode& one) {
                return number && one.number == static_cast<int>(*number);
            });
        if (mode == kPrivateModes.end()) continue;
        if (is_on == mode->is_usually_on) {
            private_modes_.erase(mode->number);
        } else {
            private_modes_.insert(mode->number);
        }
    }
}

std::string ScreenModes::reset() const {
    std::string text;
    if (has_keypad_mode_) text += "\x1b>";
    if (has_insert_mode_) text += "\x1b[4l";
    if (has_line_drawing_) text += "\x1b(B";
    if (has_style_) text += "\x1b[0m";
    for (const PrivateMode& mode : kPrivateModes) {
        if (!private_modes_.contains(mode.number)) continue;
        text += "\x1b[?" + std::to_string(mode.number) + (mode.is_usually_on ? "h" : "l");
    }
    return text;
}

}  // namespace frsh
