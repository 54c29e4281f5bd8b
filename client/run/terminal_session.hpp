// Our own terminal while it is a remote program's: raw meanwhile, so that every key gets there, and
// as it was before whenever it is ours again, whichever way that comes about.
#pragma once

#include "client/io/escape_keys.hpp"
#include "client/io/inherited_input.hpp"
#include "client/run/remote_run.hpp"

#include <termios.h>

namespace frsh {

// What a run's terminal is to be: as ours, where one of our standard streams is one.
[[nodiscard]] msg::Pty describe_terminal();

// One terminal's raw mode; on only while the terminal is ours to change (see setpgid(2)). What ends
// this process meanwhile, a crash included, gives the terminal back first; SIGKILL alone does not.
class RawMode {
  public:
    // `terminal` is lent. Throws SysError for what is none.
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

// Stops us as Ctrl-Z does, if that was asked of us by a signal or here; returns once we go on.
// SIGTSTP is blocked (see signals.hpp) but for that.
enum class Stopped { Us, OurGroup };
void stop_here(Stopped who);

class TerminalSession {
  public:
    // Signals that whoever owns one passes to on_signal().
    static std::vector<int> signals();

    // `terminal` and `run` are lent. The terminal is the run's from when that has started until
    // this is destroyed.
    TerminalSession(EventLoop& loop, int terminal, RemoteRun& run, std::optional<char> escape);
    ~TerminalSession();

    void on_signal(int number);

    enum class Wish { Stay, Leave, HungUp };
    // What the person wants; HungUp: there is nobody any more.
    [[nodiscard]] Wish wish() const { return wish_; }

  private:
    void begin();
    void on_readable();
    void act_on(EscapeKeys::Action action);
    void suspend(Stopped who);
    void tell_size();

    int terminal_;
    RemoteRun& run_;
    EscapeKeys escapes_;
    RawMode raw_;
    InheritedInput keys_;
    bool has_begun_ = false;
    Wish wish_ = Wish::Stay;
    EventLoop::Watch watch_;
};

}  // namespace frsh
