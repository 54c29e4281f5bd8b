// ShownRun is the run that has the user's terminal at the prompt: it gets the typed input and the
// interrupts. At most one run is shown at a time.
//
//     Input    what the run gets of the terminal
//     None     nothing: typed text waits for the prompt
//     Lines    lines, as the terminal edits them; becomes None at Ctrl-D
//     Keys     every key, as the command is on a terminal; see TerminalSession
#pragma once

#include "client/io/inherited_input.hpp"
#include "client/io/screen.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "client/run/remote_run.hpp"
#include "client/run/terminal_session.hpp"
#include "common/sys/event_loop.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class ShownRun {
  public:
    enum class Input { None, Lines, Keys };

    // All are lent. `escape` begins an escape at the start of a line with Input::Keys.
    ShownRun(EventLoop& loop, Screen& screen, std::optional<char> escape);

    // `run` is lent until hide().
    void show(RemoteRun& run, Input input);
    // Shows a run that is on a terminal. It gets these keys first, unless it ends soon.
    void show_on_terminal(RemoteRun& run, std::string_view first_keys);
    // As show_on_terminal(), once the server reports that the run has started. Until then Ctrl-C is
    // a signal.
    void show_from_start(RemoteRun& run);
    // Returns the keys that were typed for a run that has ended, and that it has not read.
    [[nodiscard]] std::string typed_ahead();
    void hide();
    [[nodiscard]] bool is_shown() const { return run_ != nullptr; }
    [[nodiscard]] bool has_keys() const { return keys_.has_value(); }

    // Passes a Ctrl-C on; see InterruptLadder.
    void interrupt();
    // Returns true once a Ctrl-C has arrived since show().
    [[nodiscard]] bool was_interrupted() const { return interrupts_.has_begun(); }
    // Passes Ctrl-\ on.
    void quit();
    // Handles SIGWINCH, SIGTSTP and SIGCONT while a run is shown.
    void on_terminal_signal(int number);
    // Ends the run if the user typed the escape. Returns true if the terminal has hung up.
    [[nodiscard]] bool check_keys();
    // Returns when check_keys() is due at the latest.
    [[nodiscard]] EventLoop::Time next_deadline() const;

  private:
    void on_lines();

    EventLoop& loop_;
    Screen& screen_;
    std::optional<char> escape_;
    InheritedInput terminal_;
    RemoteRun* run_ = nullptr;
    Input input_ = Input::None;
    InterruptLadder interrupts_;
    std::optional<TerminalSession> keys_;
    EventLoop::Time hold_until_ = EventLoop::kNever;  // For the first keys.
    EventLoop::Watch watch_;
};

}  // namespace frsh
