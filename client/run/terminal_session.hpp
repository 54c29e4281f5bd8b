// TerminalSession connects the user's terminal to a remote program. The terminal is raw meanwhile,
// so that every key reaches the program. Its modes are restored on every way out.
#pragma once

#include "client/io/escape_keys.hpp"
#include "client/io/inherited_input.hpp"
#include "client/run/remote_run.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <termios.h>

namespace frsh {

// Describes the user's terminal, for a run that is to have the same. Uses the first of stdin,
// stdout and stderr that is a terminal.
[[nodiscard]] msg::Pty describe_terminal();

// RawMode owns the raw mode of one terminal. It is on only while this process is in the foreground
// (see setpgid(2)). A fatal signal, except SIGKILL, restores the terminal before it ends the
// process.
class RawMode {
  public:
    // `terminal` is lent. Throws SysError if it is not a terminal.
    explicit RawMode(int terminal);
    ~RawMode();
    RawMode(const RawMode&) = delete;
    RawMode& operator=(const RawMode&) = delete;

    void enter();
    void leave();

  private:
    int terminal_;
    termios before_{};
    bool is_on_ = false;
};

// Stops this process, or its process group, as Ctrl-Z does; returns after SIGCONT. SIGTSTP is
// blocked at all other times (see signals.hpp).
enum class Stopped { Us, OurGroup };
void stop_here(Stopped who);

class TerminalSession {
  public:
    // Returns the signals that the owner must pass to on_signal().
    static std::vector<int> signals();

    // `terminal` and `run` are lent. The terminal belongs to the run from its start until this
    // object is destroyed.
    TerminalSession(EventLoop& loop, int terminal, RemoteRun& run, std::optional<char> escape);
    // Gives the terminal to the run at once. These keys were typed before. They are held until the
    // next key, or until flush_held(): a command that ends soon does not show them once more.
    void begin(std::string_view first_keys);
    void flush_held();
    // Returns the keys that are held, and holds none any more.
    [[nodiscard]] std::string take_held() { return std::exchange(held_, {}); }
    [[nodiscard]] bool holds_keys() const { return !held_.empty(); }
    // Returns all keys that were sent to the run.
    [[nodiscard]] const std::string& sent() const { return sent_; }
    ~TerminalSession();

    void on_signal(int number);
    // Reads no keys while `is_paused`: a question to the user reads the terminal.
    void pause(bool is_paused) { is_paused_ = is_paused; }

    enum class Wish { Stay, Leave, HungUp };
    // What the keys requested. HungUp: the terminal is closed.
    [[nodiscard]] Wish wish() const { return wish_; }

  private:
    void begin();
    void send(std::string_view keys);
    void on_readable();
    void act_on(EscapeKeys::Action action);
    void suspend(Stopped who);
    void tell_size();

    int terminal_;
    RemoteRun& run_;
    EscapeKeys escapes_;
    RawMode raw_;
    InheritedInput keys_;
    std::string sent_;
    std::string held_;
    bool has_begun_ = false;
    bool is_paused_ = false;
    Wish wish_ = Wish::Stay;
    EventLoop::Watch watch_;
};

}  // namespace frsh
