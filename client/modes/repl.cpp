#include "client/modes/repl.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/remote_shell.hpp"
#include "client/connection/server_connection.hpp"
#include "client/io/screen.hpp"
#include "client/modes/completeness_check.hpp"
#include "client/modes/prompt_line.hpp"
#include "client/modes/prompt_text.hpp"
#include "client/modes/shown_run.hpp"
#include "client/modes/terminal_marks.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "client/run/terminal_session.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/pty.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Time = EventLoop::Time;

// A background job keeps a command's output open. The prompt returns after this time.
constexpr auto kReplLinger = 300ms;
constexpr int kMaxEndsOfInput = 3;  // In a row. Then the prompt leaves although the shell stays.
constexpr auto kLongCommand = 2s;   // The next prompt shows how long such a command took.

class Repl {
  public:
    explicit Repl(const ClientOptions& options)
        : options_(options),
          signals_(without_ignored({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT})),
          screen_(loop_),
          server_(loop_, connect_to(options),
                  [this](const Message& message) { shell_.on_message(message); }),
          shell_(server_, options.env, options.cwd, on_disconnect_of(options), describe_terminal()),
          line_(loop_, screen_, server_, shell_, options, [this] { run_nothing(Keys::ForLine); }),
          editor_(line_.editor()),
          shown_(loop_, screen_, options.escape),
          check_(options, server_, shown_, [this] { return is_here(); }) {
        signal_watch_ = loop_.watch(
            "signals: for the command or the line", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    on_signal(number);
            });
    }

    int run() {
        wait_for_shell();
        greet();
        std::string text;
        while (is_here() && !server_.is_down() && read_command(text)) {
            evaluate(text);
            check_shell();
        }
        screen_.reset_modes();
        if (!server_.is_down()) {
            leave();
            return is_here() ? last_.code : leave_code_;
        }
        const std::string& why = server_.problem();
        log::error(why.empty() ? "the server closed the connection" : why);
        return 255;
    }

  private:
    // Starting ── the shell is ready ──▶ Prompting ── the shell died ──▶ Starting
    // Prompting ── a command ──▶ Prompting: meanwhile, the command is shown_
    // Prompting ── :quit, the shell's own `exit` ──▶ Quitting
    // Any state ── SIGTERM, SIGHUP ──▶ Told: the server is told which signal
    // Starting ── SIGINT ──▶ Told: the start-up files may never return
    enum class State { Starting, Prompting, Quitting, Told };

    [[nodiscard]] bool is_here() const {
        return state_ == State::Starting || state_ == State::Prompting;
    }

    [[nodiscard]] msg::Hello hello() const { return server_.server().value_or(msg::Hello{}); }

    void greet() {
        if (log::level() < log::Level::Notice || !shell_.is_ready()) return;
        screen_.say(greeting(hello().software, hello().host, shell_.kind()));
    }

    // Start-up files may ask questions, so they have the terminal until the shell is ready.
    void await_shell() {
        if (is_here()) state_ = State::Starting;
        run_nothing(Keys::ForShell);
        while (is_here() && !shell_.is_ready() && !shell_.ended() && !server_.is_down())
            server_.turn();
        if (is_here()) state_ = State::Prompting;
    }

    void wait_for_shell() {
        await_shell();
        if (shell_.ended()) throw UserError("no shell: " + describe(*shell_.ended()));
        if (shell_.is_ready() && shell_.kind() == "sh" && !std::exchange(has_said_kind_, true)) {
            log::error("no bash on the server: this is sh; Ctrl-C replaces the shell");
        }
        if (shell_.lacks_startup()) run_nothing(Keys::ForLine);  // Shows why.
    }

    static void put_on_terminal(msg::Open& open) {
        open.pty = describe_terminal();
        open.max_output.reset();
        open.stdin_null = false;
    }

    // Runs an empty command on the shell's terminal: shows what is printed there until it ends.
    enum class Keys { ForShell, ForLine };
    void run_nothing(Keys keys) {
        auto open = request(" ");
        if (!open || !is_here() || server_.is_down()) return;
        shell_.place(*open);
        put_on_terminal(*open);
        open->timeout.reset();
        open->idle_timeout.reset();
        RemoteRun& run = server_.open(std::move(*open), screen_.out(), screen_.err());
        if (keys == Keys::ForShell) shown_.show_from_start(run);
        if (keys == Keys::ForShell) run_until_end(run);
        while (is_here() && !run.is_finished() && !server_.is_down())
            server_.turn();
        end_row();
        drain_screen();
        server_.forget(run);
    }

    void check_shell() {
        if (!shell_.ended() || server_.is_down() || !is_here()) return;
        const auto* const exited = std::get_if<Exited>(&*shell_.ended());
        if (exited != nullptr && shell_.has_terminal()) {
            state_ = State::Quitting;
            leave_code_ = last_.code = exited->code;
        }
        if (!is_here()) return;
        log::error("the shell ended (" + describe(*shell_.ended()) + "); a new one takes over");
        shell_.reopen();
        await_shell();
        if (shell_.ended() && !shell_.is_ready()) {
            log::error("not there: " + describe(*shell_.ended()) + "; in the first folder instead");
            shell_.reopen();
        }
        wait_for_shell();
    }

    [[nodiscard]] std::string prompt() const {
        return prompt_text({hello().user, hello().host, shell_.cwd(), shell_.home(), last_.code,
                            wants_colour(), is_split_ || !shell_.has_terminal()}) +
               marks_.prompt_end();
    }

    void begin_prompt() {
        const std::string where = hello().user + "@" + hello().host + ": ";
        marks_.begin_prompt(where + short_folder(shell_.cwd(), shell_.home()), hello().host,
                            shell_.cwd());
    }

    // Writes all pending output, so that none appears in the line that is edited next.
    void drain_screen() {
        while (is_here() && !screen_.is_drained() && !server_.is_down())
            server_.turn();
    }

    // Reads a complete command, which may span lines. Returns false to leave the prompt.
    bool read_command(std::string& text) {
        text.clear();
        for (;;) {
            screen_.begin_line();
            if (text.empty()) begin_prompt();
            drain_screen();
            std::string line;
            const auto result = line_.read(text.empty() ? prompt() : "> ", line, text);
            if (!is_here() || server_.is_down()) {
                screen_.say("\r\n");  // The reason has a row of its own.
                return false;
            }
            if (result == LineEditor::Result::EndOfFile && text.empty()) {
                // The shell itself may stay, as bash does the first time if jobs are stopped.
                if (shell_.has_terminal() && line_.ends_of_input() <= kMaxEndsOfInput) {
                    screen_.say("\r\n");
                    text = "builtin exit";
                    return true;
                }
                screen_.say("\n");
                return false;
            }
            if (result != LineEditor::Result::Line) {
                screen_.say(result == LineEditor::Result::Interrupted ? "^C\n" : "\n");
                text.clear();
                check_shell();
                continue;
            }
            if (text.empty() && line.find_first_not_of(" \t\r\n") == std::string::npos) continue;
            text += (text.empty() ? "" : "\n") + line;
            if (text[0] == ':' && own_command(text)) {
                editor_.remember(text);
                text.clear();
                if (!is_here()) return false;
                continue;
            }
            const Completeness completeness = check_.check(text, shell_.kind());
            if (!is_here() || server_.is_down()) return false;
            if (completeness == Completeness::Incomplete) continue;
            editor_.remember(text);
            if (completeness == Completeness::Complete) return true;
            text.clear();
        }
    }

    // Executes ":word". Returns false for ": word", the null command of the shell.
    bool own_command(const std::string& text) {
        if (text == ":help") {
            screen_.say(prompt_help());
        } else if (text == ":status") {
            screen_.say(last_.record.empty() ? "no command has run yet\n" : last_.record + "\n");
        } else if (text == ":split on" || text == ":split off") {
            is_split_ = text == ":split on";
        } else if (text == ":quit") {
            state_ = State::Quitting;
            leave_code_ = last_.code;
        } else if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z') {
            screen_.say("unknown: " + escape_controls(text) + " (see :help)\n");
        } else {
            return false;
        }
        return true;
    }

    // Returns the request, or nothing after a message if the command cannot be sent.
    std::optional<msg::Open> request(const std::string& command) {
        try {
            msg::Open open = open_for(options_, {command});
            open.linger = options_.settings.linger ? options_.settings.linger->time : kReplLinger;
            return open;
        } catch (const UserError& error) {
            log::error(error.what());
            return std::nullopt;
        }
    }

    void run_until_end(RemoteRun& run) {
        while (is_here() && !(run.is_finished() && screen_.is_drained())) {
            if (shown_.check_keys()) on_signal(SIGHUP);
            server_.turn(shown_.next_deadline());
        }
        editor_.type(shown_.typed_ahead());
        shown_.hide();
    }

    void run_on_terminal(RemoteRun& run) {
        shown_.show_on_terminal(run, editor_.take_typed());
        run_until_end(run);
        if (!run.has_exited()) screen_.reset_modes();
        end_row();
    }

    void end_row() {
        if (screen_.is_at_line_start()) return;
        // The column of the cursor is unknown. As many blanks as the screen is wide wrap to the
        // next line from any column but the first, where they stay on the line.
        const auto size = window_size(STDIN_FILENO).value_or(WindowSize{});
        screen_.say(std::string(size.columns, ' ') + "\r");
        screen_.note_typed(true);
    }

    void evaluate(const std::string& text) {
        auto open = request(text);
        if (!open) return;
        shell_.place(*open);
        const bool is_on_terminal = shell_.has_terminal() && !is_split_;
        if (is_on_terminal) put_on_terminal(*open);
        const auto input = open->stdin_null ? ShownRun::Input::None : ShownRun::Input::Lines;
        marks_.begin_output();
        const Time began = EventLoop::Clock::now();
        RemoteRun& run = server_.open(std::move(*open), screen_.out(), screen_.err());
        if (is_on_terminal) {
            run_on_terminal(run);
        } else {
            shown_.show(run, input);
            run_until_end(run);
        }
        shell_.note_end(run);
        const auto time = EventLoop::Clock::now() - began;
        if (time >= kLongCommand) editor_.set_note(duration_text(time));
        // Only the shell's report carries a folder. Without it, the shell died with the command.
        const bool has_report = run.end() && run.end()->cwd;
        if (is_here()) note_outcome(run, text, has_report ? ShellDied::No : ShellDied::Perhaps);
        marks_.end_output(last_.code);
        server_.forget(run);
        if (has_report) return;
        // A shell that died is reported right after its last command.
        const Time soon = EventLoop::Clock::now() + 50ms;
        while (is_here() && !shell_.ended() && !server_.is_down() && EventLoop::Clock::now() < soon)
            server_.turn(soon);
    }

    enum class ShellDied { No, Perhaps };
    void note_outcome(const RemoteRun& run, const std::string& text, ShellDied died) {
        const Outcome& outcome = run.outcome();
        last_.code = exit_code(outcome);
        last_.record = record_of(
            run, outcome, {options_.target, {text}, false, true, server_.tls()}, nullptr, nullptr);
        if ((!run.has_exited() && died == ShellDied::No) ||
            std::holds_alternative<NotStarted>(outcome)) {
            screen_.begin_line();
            drain_screen();
            log::error(describe(outcome));
        }
        report_processes(run, "");
    }

    void on_signal(int number) {
        if (number == SIGWINCH || number == SIGTSTP || number == SIGCONT) {
            on_terminal_signal(number);
        } else if (number == SIGTERM || number == SIGHUP) {
            told_by_ = signal_name(number);
            be_told(number);
            editor_.interrupt();
        } else if (number == SIGQUIT) {
            if (shown_.is_shown()) shown_.quit();
        } else if (state_ == State::Starting) {
            be_told(number);
        } else if (shown_.is_shown()) {
            shown_.interrupt();
        } else {
            editor_.interrupt();
        }
    }

    void be_told(int number) {
        state_ = State::Told;
        leave_code_ = 128 + number;
    }

    void on_terminal_signal(int number) {
        if (number == SIGWINCH && !shown_.has_keys()) return editor_.resize();
        if (shown_.is_shown()) return shown_.on_terminal_signal(number);
        if (number == SIGCONT && state_ != State::Starting) editor_.resume();
    }

    void leave() {
        const Time deadline = EventLoop::Clock::now() + kLeaveGracePeriod;
        if (state_ == State::Told) {
            server_.link().send(msg::Bye{told_by_});
        } else {
            shell_.close(deadline);
        }
        server_.finish(deadline);
    }

    const ClientOptions& options_;
    EventLoop loop_;
    Signals signals_;
    Screen screen_;
    ServerConnection server_;
    RemoteShell shell_;
    PromptLine line_;
    LineEditor& editor_;  // That of line_.
    ShownRun shown_;      // Nothing is shown while a line is edited.
    CompletenessCheck check_;
    TerminalMarks marks_{screen_};
    EventLoop::Watch signal_watch_;
    State state_ = State::Starting;
    struct {  // The last command.
        int code = 0;
        std::string record;
    } last_;
    int leave_code_ = 0;
    std::optional<std::string> told_by_;
    bool has_said_kind_ = false;
    bool is_split_ = false;  // Commands have pipes, not the terminal.
};

}  // namespace

int run_repl(const ClientOptions& options) {
    return Repl(options).run();
}

}  // namespace frsh
