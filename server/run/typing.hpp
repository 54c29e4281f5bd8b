// Typing follows what a client types on a terminal: which keys may be a password, and which one is
// about to interrupt the foreground.
#pragma once

#include "common/sys/pty.hpp"

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

namespace frsh {

class Typing {
  public:
    // Calls `about_to_interrupt` before a key is typed that makes the terminal send SIGINT.
    void on_interrupt(std::function<void()> about_to_interrupt) {
        about_to_interrupt_ = std::move(about_to_interrupt);
    }
    // Bytes are about to be typed; then some of them were. `modes` are those before.
    void before(std::string_view bytes, const TypingModes& modes) const {
        const bool interrupts =
            modes.interrupt && bytes.find(*modes.interrupt) != std::string_view::npos;
        if (interrupts && about_to_interrupt_) about_to_interrupt_();
    }
    void after(std::string_view bytes, const TypingModes& modes);
    // Returns true if bytes that no program has read yet may be a password: they were typed while
    // the terminal did not show what was typed.
    [[nodiscard]] bool may_be_secret() const { return secret_ != Secret::None; }

  private:
    // What was typed while the terminal had no echo. A line ends with Enter; keys are read at once.
    enum class Secret : std::uint8_t { None, Line, EndedLine, Keys };

    std::function<void()> about_to_interrupt_;
    Secret secret_ = Secret::None;
};

}  // namespace frsh
