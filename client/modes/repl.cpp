#include "client/modes/repl.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/remote_shell.hpp"
#include "client/io/inherited_input.hpp"
#include "client/io/line_editor.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "client/run/terminal_session.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/pty.hpp"
#include "common/sys/signals.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Time = EventLoop::Time;

// A background job keeps a command's output open. The prompt returns after this time.
constexpr auto kReplLinger = 300ms;

constexpr const char* kHelp =
    "Lines are evaluated by a shell on the server: cd, variables and functions last.\n"
    "  :tty CMD  run CMD on a terminal there: vim, top, a password prompt; :tty alone, a login "
    "shell\n"
    "  :status   the record of the last command, as JSON\n"
    "  :help     this\n"
    "  :quit     leave, as Ctrl-D does\n"
    "While a command runs, what you type is its input, and Ctrl-D at the start of a line ends "
    "that;\n"
    "Ctrl-C interrupts it, twice ends it, three times kills it. The shell stays.\n";

// ScreenSink writes to the terminal, in a colour of its own for stderr. It records whether the
// cursor is at the start of a line.
class ScreenSink : public OutputSink {
  public:
    ScreenSink(InheritedOutput& output, std::string before, std::string after, bool& at_line_start)
        : output_(output),
          before_(std::move(before)),
          after_(std::move(after)),
          at_line_start_(at_line_start) {}

    void write(std::string_view bytes) override {
        if (bytes.empty()) return;
        say(before_);
        output_.write(bytes);
        say(after_);
        at_line_start_ = bytes.back() == '\n';
    }
    // Writes text of frsh between the output of the command.
    void say(std::string_view bytes) {
        own_ += bytes.size();
        output_.write(bytes);
    }
    Offset take_used() override {
        // Bytes that say() added are not credited to a stream.
        const Offset used = output_.take_used();
        const Offset ours = std::min(used, own_);
        own_ -= ours;
        return used - ours;
    }
    [[nodiscard]] bool is_drained() const override { return output_.is_drained(); }
    [[nodiscard]] int failure() const override { return output_.failure(); }

  private:
    InheritedOutput& output_;
    std::string before_;
    std::string after_;
    bool& at_line_start_;
    Offset own_ = 0;  // Bytes that say() added and that are not written yet.
};

bool wants_colour() {
    const char* const term = std::getenv("TERM");
    return std::getenv("NO_COLOR") == nullptr && term != nullptr &&
           std::string_view(term) != "dumb";
}

// Returns $XDG_STATE_HOME/frsh/history, else ~/.local/state/frsh/history; empty if the folder
// cannot be created.
std::string history_path() {
    const char* const state = std::getenv("XDG_STATE_HOME");
    const char* const home = std::getenv("HOME");
    std::string folder;
    if (state != nullptr && state[0] == '/') {
        folder = state;
    } else if (home != nullptr && home[0] == '/') {
        folder = std::string(home) + "/.local/state";
        (void)::mkdir((std::string(home) + "/.local").c_str(), 0755);
    } else {
        return "";
    }
    (void)::mkdir(folder.c_str(), 0700);
    folder += "/frsh";
    (void)::mkdir(folder.c_str(), 0700);
    return ::access(folder.c_str(), W_OK) == 0 ? folder + "/history" : "";
}

class Repl {
  public:
    explicit Repl(const ClientOptions& options)
        : options_(options),
          has_colour_(wants_colour()),
          signals_({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT}),
          out_(loop_, "stdout", STDOUT_FILENO, InheritedOutput::WasOpen::Yes),
          err_(loop_, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes),
          screen_out_(out_, "", "", at_line_start_),
          screen_err_(err_, has_red_stderr() ? "\x1b[31m" : "", has_red_stderr() ? "\x1b[39m" : "",
                      at_line_start_),
          server_(loop_, connect_to(options),
                  [this](const Message& message) { shell_.on_message(message); }),
          shell_(server_, options.env, options.cwd, on_disconnect_of(options)),
          editor_(
              loop_, [this] { turn(); }, history_path()) {
        signal_watch_ = loop_.watch(
            "signals: for the command or the line", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    on_signal(number);
            });
        input_watch_ = loop_.watch(
            "terminal: input for the command", terminal_.fd(),
            [this]() -> short {
                return run_ != nullptr && wants_input_ && run_->stdin_room() > 0 ? POLLIN
                                                                                 : short{0};
            },
            [this](short) { on_input(); });
    }

    int run() {
        wait_for_shell();
        std::string text;
        while (!leaving_ && !server_.is_down() && read_command(text)) {
            evaluate(text);
            check_shell();
        }
        if (server_.is_down()) {
            const std::string& why = server_.problem();
            log::error(why.empty() ? "the server closed the connection" : why);
            return 255;
        }
        leave();
        return leaving_ ? leave_code_ : last_code_;
    }

  private:
    void turn() {
        server_.link().flush();
        if (!is_prompt_over()) loop_.run_once();
        if (is_prompt_over()) editor_.interrupt();
    }

    // Returns true if the prompt shows the stderr of commands in red.
    [[nodiscard]] bool has_red_stderr() const {
        return has_colour_ && ::isatty(STDERR_FILENO) == 1;
    }

    [[nodiscard]] bool is_prompt_over() const { return server_.is_down() || shell_.ended(); }

    void await_shell() {
        is_waiting_for_shell_ = true;
        while (!shell_.is_ready() && !shell_.ended() && !server_.is_down() && !leaving_)
            server_.turn();
        is_waiting_for_shell_ = false;
    }

    void wait_for_shell() {
        await_shell();
        if (shell_.ended()) throw UserError("no shell: " + describe(*shell_.ended()));
        if (shell_.is_ready() && shell_.kind() != "bash" && !said_kind_) {
            log::error("no bash on the server: this is sh; Ctrl-C replaces the shell");
            said_kind_ = true;
        }
    }

    void check_shell() {
        if (!shell_.ended() || server_.is_down() || leaving_) return;
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
        const auto colour = [this](const char* code) {
            return has_colour_ ? "\1\x1b[" + std::string(code) + "m\1" : std::string();
        };
        std::string cwd = shell_.cwd();
        const std::string& home = shell_.home();
        const bool in_home = home.size() > 1 && cwd.starts_with(home) &&
                             (cwd.size() == home.size() || cwd[home.size()] == '/');
        if (in_home) cwd.replace(0, home.size(), "~");
        const msg::Hello hello = server_.server().value_or(msg::Hello{});
        std::string text;
        // Adjacent escape sequences are merged: libedit miscounts the width between two.
        if (last_code_ != 0) {
            text += colour("31") + "[" + std::to_string(last_code_) + "] ";
        }
        text += colour("0;1") + escape_controls(hello.user) + "@" + escape_controls(hello.host) +
                colour("0") + ":" + escape_controls(cwd);
        return text + (hello.user == "root" ? "# " : "$ ");
    }

    // Reads a complete command, which may span lines. Returns false to leave the prompt.
    bool read_command(std::string& text) {
        text.clear();
        for (;;) {
            if (!at_line_start_) {
                screen_out_.say("\n");
                at_line_start_ = true;
            }
            std::string line;
            const auto result = editor_.read(text.empty() ? prompt() : "> ", line);
            if (leaving_ || server_.is_down()) return false;
            if (result == LineEditor::Result::EndOfFile && text.empty()) {
                screen_out_.say("\n");
                return false;
            }
            if (result != LineEditor::Result::Line) {
                screen_out_.say(result == LineEditor::Result::Interrupted ? "^C\n" : "\n");
                text.clear();
                check_shell();
                continue;
            }
            if (text.empty() && line.find_first_not_of(" \t\r\n") == std::string::npos) continue;
            text += (text.empty() ? "" : "\n") + line;
            if (text[0] == ':' && own_command(text)) {
                editor_.remember(text);
                text.clear();
                if (leaving_) return false;
                continue;
            }
            if (is_incomplete(text)) continue;
            editor_.remember(text);
            return true;
        }
    }

    // Executes ":word". Returns false for ": word", which is the null command of the shell.
    bool own_command(const std::string& text) {
        if (text == ":help") {
            screen_out_.say(kHelp);
        } else if (text == ":status") {
            screen_out_.say(last_record_.empty() ? "no command has run yet\n"
                                                 : last_record_ + "\n");
        } else if (text == ":tty" || text.starts_with(":tty ")) {
            run_on_terminal(text.substr(std::min(text.size(), text.find_first_not_of(' ', 4))));
        } else if (text == ":quit") {
            leaving_ = true;
            leave_code_ = last_code_;
        } else if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z') {
            screen_out_.say("unknown: " + escape_controls(text) + " (see :help)\n");
        } else {
            return false;
        }
        return true;
    }

    // Runs the shell with -n to find out whether the command is incomplete.
    bool is_incomplete(const std::string& text) {
        if (!may_be_incomplete(text)) return false;
        const std::size_t last = text.find_last_not_of('\\');
        const std::size_t slashes = text.size() - (last == std::string::npos ? 0 : last + 1);
        if (slashes % 2 == 1) return true;
        SpooledOutput out;
        SpooledOutput err;
        msg::Open open;
        open.run = new_run_id();
        open.mode = msg::Open::Mode::Argv;
        open.args = {shell_.kind(), "-n", "-c", text};
        open.env = {"LC_ALL=C"};
        open.stdin_null = true;
        open.timeout = 5s;
        if (text.find('\0') != std::string::npos || text.size() > 100'000) return false;
        RemoteRun& check = server_.open(std::move(open), out, err);
        while (!check.is_finished())
            server_.turn();
        server_.forget(check);
        const std::string said = err.content();
        for (const char* const sign :
             {"unexpected end of file", "unexpected EOF while looking", "delimited by end-of-file",
              "end of file unexpected", "Unterminated quoted string"}) {
            if (said.find(sign) != std::string::npos) return true;
        }
        return false;
    }

    // Returns the exported variables of the shell. A program on a terminal is not a child of the
    // shell, but needs the same environment. Empty if the shell cannot run `env`.
    std::vector<std::string> shell_environment() {
        SpooledOutput out;
        SpooledOutput err;
        msg::Open open;
        open.run = new_run_id();
        open.args = {"command env -0"};
        open.linger = kReplLinger;
        open.stdin_null = true;
        shell_.place(open);
        RemoteRun& run = server_.open(std::move(open), out, err);
        run_until_end(run);
        server_.forget(run);  // Its sinks are local to this function.
        const std::string content = out.content();
        std::vector<std::string> env;
        for (const std::string_view entry : split(content, '\0')) {
            const std::string_view name = entry.substr(0, entry.find('='));
            const bool is_its_own = name == "TERM" || name == "_" || name == "SHLVL" ||
                                    name == "OLDPWD" || name.starts_with("FRSH_");
            if (!name.empty() && name.size() < entry.size() && !is_its_own) env.emplace_back(entry);
        }
        return env;
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

    void run_on_terminal(const std::string& command) {
        auto open = request(command);
        if (!open) return;
        if (server_.is_known_to_lack("ptys")) {
            log::error(":tty: this server gives no terminals");
            return;
        }
        open->env = shell_environment();
        open->cwd = shell_.cwd();
        open->max_output.reset();
        open->stdin_null = false;
        open->pty = describe_terminal();
        if (leaving_ || server_.is_down()) return;
        RemoteRun& run = server_.open(std::move(*open), screen_out_, screen_err_);
        tty_.emplace(loop_, STDIN_FILENO, run, options_.escape);
        run_until_end(run);
        tty_.reset();
        if (!at_line_start_) {
            // The column of the cursor is unknown. As many blanks as the screen is wide wrap to the
            // next line from any column but the first, where they stay on the line.
            const auto size = window_size(STDIN_FILENO).value_or(WindowSize{});
            screen_out_.say(std::string(size.columns, ' ') + "\r");
            at_line_start_ = true;
        }
        shell_may_have_died_ = false;
        if (!leaving_) note_outcome(run, command);
        server_.forget(run);
    }

    // Passes signals to the run meanwhile. Returns early if frsh is to leave.
    void run_until_end(RemoteRun& run) {
        interrupts_ = 0;
        run_ = &run;
        while (!leaving_ && (!run.is_finished() || !out_.is_drained() || !err_.is_drained())) {
            if (tty_) obey_terminal(run);
            server_.turn();
        }
        run_ = nullptr;
    }

    void obey_terminal(RemoteRun& run) {
        using Wish = TerminalSession::Wish;
        if (tty_->wish() == Wish::HungUp) return on_signal(SIGHUP);
        if (tty_->wish() == Wish::Stay || interrupts_ > 0) return;
        ++interrupts_;
        run.signal("HUP");  // An interactive shell ignores TERM and ends on HUP.
        run.cancel();
    }

    void evaluate(const std::string& text) {
        auto open = request(text);
        if (!open) return;
        shell_.place(*open);
        wants_input_ = !open->stdin_null;
        RemoteRun& run = server_.open(std::move(*open), screen_out_, screen_err_);
        run_until_end(run);
        wants_input_ = false;
        if (!leaving_) conclude(run, text);
        server_.forget(run);
        // A shell that died is reported right after its last command.
        const Time soon = EventLoop::Clock::now() + 50ms;
        while (shell_may_have_died_ && !shell_.ended() && !server_.is_down() &&
               EventLoop::Clock::now() < soon)
            server_.turn(soon);
    }

    void conclude(const RemoteRun& run, const std::string& text) {
        shell_.note_end(run);
        // Only the shell's report carries a folder. Without it, the shell died with the command.
        shell_may_have_died_ = !run.end() || !run.end()->cwd;
        note_outcome(run, text);
    }

    void note_outcome(const RemoteRun& run, const std::string& text) {
        const Outcome& outcome = run.outcome();
        last_code_ = exit_code(outcome);
        last_record_ = record_of(
            run, outcome, {options_.target, {text}, false, true, server_.tls()}, nullptr, nullptr);
        const bool needs_words = !std::holds_alternative<Exited>(outcome) && !shell_may_have_died_;
        if (needs_words || std::holds_alternative<NotStarted>(outcome)) {
            if (!at_line_start_) screen_out_.say("\n");
            at_line_start_ = true;
            log::error(describe(outcome));
        }
        report_processes(run, "");
    }

    void on_input() {
        char buffer[4096];
        const std::size_t size = std::min(sizeof buffer, run_->stdin_room());
        const IoResult result = terminal_.read(buffer, size);
        if (result.status == IoResult::Status::EndOfFile) {
            wants_input_ = false;
            run_->finish_stdin();
        } else if (result.status == IoResult::Status::Done) {
            run_->append_stdin({buffer, result.bytes});
            at_line_start_ = buffer[result.bytes - 1] == '\n';
        }
    }

    void on_signal(int number) {
        if (number == SIGWINCH || number == SIGTSTP || number == SIGCONT) {
            return on_terminal_signal(number);
        }
        if (number == SIGTERM || number == SIGHUP) {
            leaving_ = was_told_to_go_ = true;
            told_by_ = signal_name(number);
            leave_code_ = 128 + number;
            return editor_.interrupt();
        }
        if (number == SIGQUIT) {
            if (run_ != nullptr) run_->signal("QUIT");
            return;
        }
        if (is_waiting_for_shell_) {
            // The start-up files may never return.
            leaving_ = was_told_to_go_ = true;
            leave_code_ = 128 + number;
            return;
        }
        if (run_ == nullptr) return editor_.interrupt();
        at_line_start_ = false;  // The terminal has shown ^C.
        run_->interrupt(++interrupts_);
    }

    void on_terminal_signal(int number) {
        if (tty_) return tty_->on_signal(number);
        if (number == SIGWINCH) return editor_.resize();
        // The prompt ignores SIGTSTP. SIGSTOP cannot be ignored.
        if (number == SIGTSTP && run_ != nullptr) return stop_here(Stopped::Us);
        if (number == SIGCONT && run_ == nullptr && !is_waiting_for_shell_) editor_.resume();
    }

    void leave() {
        const Time deadline = EventLoop::Clock::now() + kLeaveGracePeriod;
        if (was_told_to_go_) {
            server_.link().send(msg::Bye{told_by_});
        } else {
            shell_.close(deadline);
        }
        server_.finish(deadline);
    }

    const ClientOptions& options_;
    bool has_colour_;
    bool at_line_start_ = true;
    EventLoop loop_;
    Signals signals_;
    InheritedOutput out_;
    InheritedOutput err_;
    ScreenSink screen_out_;
    ScreenSink screen_err_;
    ServerConnection server_;
    RemoteShell shell_;
    LineEditor editor_;
    EventLoop::Watch signal_watch_;
    InheritedInput terminal_{STDIN_FILENO};
    EventLoop::Watch input_watch_;
    std::optional<TerminalSession> tty_;  // While a program of `:tty` has the terminal.
    RemoteRun* run_ = nullptr;
    bool wants_input_ = false;
    int interrupts_ = 0;
    int last_code_ = 0;
    int leave_code_ = 0;
    std::string last_record_;
    bool leaving_ = false;
    bool was_told_to_go_ = false;
    std::optional<std::string> told_by_;
    bool said_kind_ = false;
    bool is_waiting_for_shell_ = false;
    bool shell_may_have_died_ = false;
};

}  // namespace

bool may_be_incomplete(const std::string& text) {
    if (text.find_first_of("'\"`\\<(){}|&$\n") != std::string::npos) return true;
    for (const std::string_view word : split(text, ' ')) {
        for (const char* const opener : {"if", "then", "else", "elif", "for", "while", "until",
                                         "do", "case", "in", "select", "function", "!", "time"}) {
            if (word == opener || word == std::string(opener) + ";") return true;
        }
    }
    return false;
}

int run_repl(const ClientOptions& options) {
    return Repl(options).run();
}

}  // namespace frsh
