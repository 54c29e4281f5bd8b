// Screen writes a command's output and the prompt's own texts to the user's terminal, and records
// whether the cursor is at the start of a line.
#pragma once

#include "client/io/output_sink.hpp"
#include "client/io/screen_modes.hpp"
#include "common/sys/event_loop.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Returns true if the terminal obeys escape sequences, according to TERM.
[[nodiscard]] bool has_escapes();
// Returns true if the terminal has colours and the user permits them (NO_COLOR).
[[nodiscard]] bool wants_colour();

class Screen {
  public:
    explicit Screen(EventLoop& loop);

    // The sinks for a command. stderr has a colour of its own.
    [[nodiscard]] OutputSink& out() { return out_sink_; }
    [[nodiscard]] OutputSink& err() { return err_sink_; }
    // Writes a text of frsh. It is not credited to a stream of the command.
    void say(std::string_view text);
    // Starts a new line unless the cursor is at the start of one.
    void begin_line();
    // The terminal has shown typed text, which ends with a newline or not.
    void note_typed(bool ends_line) { is_at_line_start_ = ends_line; }
    // Undoes what the command's output has changed on the terminal, if the command cannot.
    void reset_modes();
    [[nodiscard]] bool is_at_line_start() const { return is_at_line_start_; }
    [[nodiscard]] bool is_drained() const { return out_.is_drained() && err_.is_drained(); }

  private:
    class Sink : public OutputSink {
      public:
        Sink(InheritedOutput& output, ScreenModes& modes, bool is_red, bool& is_at_line_start)
            : output_(output),
              modes_(modes),
              is_red_(is_red),
              is_at_line_start_(is_at_line_start) {}
        void write(std::string_view bytes) override;
        void say(std::string_view bytes);
        Offset take_used() override;
        [[nodiscard]] bool is_drained() const override { return output_.is_drained(); }
        [[nodiscard]] int failure() const override { return output_.failure(); }

      private:
        InheritedOutput& output_;
        ScreenModes& modes_;
        bool is_red_;
        bool& is_at_line_start_;
        Offset own_ = 0;  // Bytes that say() added and that are not written yet.
    };

    bool is_at_line_start_ = true;
    ScreenModes modes_;
    InheritedOutput out_;
    InheritedOutput err_;
    Sink out_sink_;
    Sink err_sink_;
};

}  // namespace frsh
