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
// If the client asked for a terminal, a command can have that as its three streams instead: see
// ShellTerminal. That is one terminal for the life of the shell, so that `fg` and `exec 5>` work.
//
// If there is no bash, sh does this without a terminal (shell_loop.sh). Then a syntax error or an
// interrupt ends the shell, and the client opens another.
//
//     state      leaves it when                              for
//     Starting   the loop makes its first report             Ready
//                its start-up files end it, or do not end    Starting, without those files
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
#include "server/run/shell_terminal.hpp"
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
    [[nodiscard]] ShellId id() const { return open_.shell; }
    // Returns true if commands can run on a terminal.
    [[nodiscard]] bool has_terminal() const {
        return program_.terminal && program_.terminal->is_for_commands();
    }
    // Returns true if the shell could not get ready with the start-up files of its user.
    [[nodiscard]] bool lacks_startup() const { return start_.is_second; }
    [[nodiscard]] const std::string& kind() const { return program_.kind; }
    [[nodiscard]] const std::string& cwd() const { return cwd_; }
    [[nodiscard]] bool is_ready() const { return state_ == State::Ready; }
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return open_.on_disconnect; }

    // Evaluates `command` after all earlier turns. The streams can be used at once. `evaluation` is
    // lent and must leave() before it is destroyed. Throws UserError if the shell has ended, and
    // SysError or UserError if the streams cannot be made.
    [[nodiscard]] CommandStreams enter(Evaluation& evaluation, const std::string& command,
                                       bool stdin_null);
    // As enter(), on the shell's terminal. Throws UserError also if another command has it.
    [[nodiscard]] CommandStreams enter_on_terminal(Evaluation& evaluation,
                                                   const std::string& command,
                                                   const WindowSize& size);
    // The terminal of a shell whose command runs on it; null once the shell has ended.
    [[nodiscard]] ShellTerminal* terminal() const { return program_.terminal.get(); }
    void leave(Evaluation& evaluation);
    // Removes a turn that has not been sent to the shell. Returns false if it has been sent.
    bool withdraw(Evaluation& evaluation);
    // Sends a signal to the command of this evaluation; before its turn, as soon as that begins.
    void signal(const Evaluation& evaluation, int number);
    // The terminal is about to send SIGINT to its foreground. A program that is about to start
    // there would not get it: then it gets it as soon as it has started.
    void interrupt_typed();
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

    // What is needed to start the program once more.
    struct Start {
        EventLoop& loop;
        const LaunchContext& context;
        Time deadline;
        bool is_second = false;
    };

    void watch_reports();
    [[nodiscard]] bool may_start_again() const;
    void start_again();
    void check_enterable();
    void begin_next();
    void hand_over();
    void on_report();
    void take(const ShellReport& report);
    [[nodiscard]] bool is_current(const ShellReport& report) const;
    void command_began(const ShellReport& report);
    void command_ended(const ShellReport& report);

    OnReady on_ready_;
    msg::ShellOpen open_;
    Start start_;
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
