// Shell is a stateful shell: it evaluates runs one after another, so that the folder, variables and
// functions that one run sets are there for the next.
//
// It is an interactive bash without a line editor, on a private pty, so that job control and Ctrl-C
// work as at a terminal. A loop in PROMPT_COMMAND (shell_loop.bash) reads the number of a turn from
// one private descriptor, evaluates the command of that turn with its streams on three named pipes
// of its own, and reports number, status and folder on another descriptor. So each run has its own
// end of file on every stream, nothing is parsed out of output, and a command inherits no
// descriptor but 0, 1 and 2.
//
// If there is no bash, sh does this without a terminal (shell_loop.sh). Then a syntax error or an
// interrupt ends the shell, and the client opens another.
//
//     state      leaves it when                              for
//     Starting   the loop makes its first report             Ready
//     Ready      the program has ended                       Ended
//     Ended      (removed by its owner once is_over())
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"
#include "server/run/command_streams.hpp"
#include "server/run/foreground_signaler.hpp"
#include "server/run/launch.hpp"
#include "server/run/pipe_drain.hpp"
#include "server/run/shell_program.hpp"
#include "server/run/shell_report.hpp"
#include "server/run/shell_turns.hpp"
#include "server/run/termination.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace frsh {

class Shell {
  public:
    using Time = EventLoop::Time;
    // Called once, when the shell is ready for its first turn.
    using OnReady = std::function<void(const Shell&)>;

    // Throws SysError or UserError if the shell cannot be started.
    Shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
          OnReady on_ready);
    ~Shell();
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    [[nodiscard]] pid_t pid() const { return program_.pid; }
    // Returns true if this is the shell's process and it has not been waited for.
    [[nodiscard]] bool awaits(pid_t pid) const { return program_.pid == pid && !status_; }
    [[nodiscard]] ShellId id() const { return id_; }
    [[nodiscard]] const std::string& kind() const { return program_.kind; }
    [[nodiscard]] const std::string& cwd() const { return cwd_; }
    [[nodiscard]] bool is_ready() const { return state_ == State::Ready; }
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }

    // Evaluates `command` after all earlier turns. The streams can be used at once. `evaluation` is
    // lent and must leave() before it is destroyed. Throws UserError if the shell has ended, and
    // SysError or UserError if the streams cannot be made.
    [[nodiscard]] CommandStreams enter(Evaluation& evaluation, const std::string& command,
                                       bool stdin_null);
    void leave(Evaluation& evaluation);
    // Removes a turn that has not been sent to the shell. Returns false if it has been sent.
    bool withdraw(Evaluation& evaluation);
    // Sends a signal to the command of this evaluation; before its turn, as soon as that begins.
    void signal(const Evaluation& evaluation, int number);
    // Reads and drops what is still written into the pipe of a run that is over.
    void keep_reading(Fd pipe) { drain_.add(std::move(pipe)); }
    // Holds the stdin of a command open until the shell is destroyed: its processes may still run.
    void hold_open(Fd input) { held_inputs_.push_back(std::move(input)); }

    // Takes no more turns: the shell ends as at the end of its input, after the turns it has.
    void close();
    // Returns true after close(): the processes that such a shell leaves running are let go.
    [[nodiscard]] bool is_closed() const { return is_closed_; }
    // Returns where to find the processes that the shell started.
    [[nodiscard]] const ProcessOrigin& origin() const { return origin_; }
    // Ends the shell and everything it started.
    void end(Termination::First first, Time now);
    // Reports that the shell's process was reaped.
    void exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

    [[nodiscard]] bool is_ending() const { return termination_ || status_; }
    [[nodiscard]] const std::optional<ExitStatus>& status() const { return status_; }
    // Returns true once the shell and all processes that end() was to end have ended.
    [[nodiscard]] bool is_over() const;

  private:
    enum class State { Starting, Ready, Ended };

    void begin_next();
    void hand_over();
    void on_report();
    void take(const ShellReport& report);
    [[nodiscard]] bool is_current(const ShellReport& report) const;
    void command_began(const ShellReport& report);
    void command_ended(const ShellReport& report);

    OnReady on_ready_;
    ShellId id_;
    OnDisconnect on_disconnect_;
    State state_ = State::Starting;
    bool is_closed_ = false;
    ShellTurns turns_;
    ProcessOrigin origin_;
    ShellProgram program_;
    ForegroundSignaler signaler_;
    ShellReports parser_;
    std::string cwd_;
    std::set<Evaluation*> evaluations_;
    std::optional<ExitStatus> status_;
    std::optional<Termination> termination_;
    PipeDrain drain_;
    std::vector<Fd> held_inputs_;
    EventLoop::Watch report_watch_;
};

}  // namespace frsh
