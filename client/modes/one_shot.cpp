#include "client/modes/one_shot.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/server_connection.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "client/run/stdin_source.hpp"
#include "client/run/terminal_session.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Time = EventLoop::Time;

// Returns true if the command is to have a terminal. As in ssh, a single -t requires a local one.
bool wants_terminal(const ClientOptions& options) {
    if (options.tty == Tty::Forced) return true;
    if (options.tty != Tty::Wanted) return false;
    const bool has_one = !options.stdin_null && ::isatty(STDIN_FILENO) == 1;
    if (!has_one) log::error("-t: stdin is no terminal, so the command gets none (-tt insists)");
    return has_one;
}

// Continues in a child process after the login (-f); the parent exits with 0, so that its caller
// goes on. The child inherits all descriptors: the command's output still reaches the terminal.
void leave_terminal() {
    if (check(::fork(), "fork") != 0) ::_exit(0);
    check(::setsid(), "setsid");
}

std::vector<int> signals_for(bool has_keys) {
    // rsync sends SIGUSR1 to end the remote shell that it started.
    std::vector<int> numbers{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    if (!has_keys) return numbers;
    for (const int number : TerminalSession::signals())
        numbers.push_back(number);
    return numbers;
}

// "30s", "250ms"
std::string in_words(std::chrono::milliseconds time) {
    const auto count = time.count();
    return count % 1000 == 0 ? std::to_string(count / 1000) + "s" : std::to_string(count) + "ms";
}

class OneShot {
  public:
    OneShot(const ClientOptions& options, const StandardStreams& streams)
        : options_(options),
          asked_{options.target, options.words, options.argv, !options.request},
          has_terminal_(wants_terminal(options)),
          has_keys_(has_terminal_ && !options.stdin_null && ::isatty(STDIN_FILENO) == 1),
          signals_(signals_for(has_keys_)),
          out_(loop_, "stdout", STDOUT_FILENO,
               // ssh writes to /dev/null if its stdout was closed.
               streams.was_open[1] || options.is_called_ssh ? InheritedOutput::WasOpen::Yes
                                                            : InheritedOutput::WasOpen::No),
          err_(loop_, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes),
          server_(loop_, connect_to(options)),
          run_(ask()) {
        if (options.request || options.detach) {
            // Such a run gets no stdin from this client.
        } else if (has_terminal_ && options.stdin_null) {
            run_.finish_stdin();
        } else if (has_keys_) {
            terminal_.emplace(loop_, STDIN_FILENO, run_, options.escape);
        } else if (!options.stdin_null) {
            input_.emplace(loop_, STDIN_FILENO, run_);
        }
        signal_watch_ = loop_.watch(
            "signals: for the command", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    on_signal(number);
            });
    }

    int run() {
        while (!left_ && (!run_.is_finished() || !out_.is_drained() || !err_.is_drained())) {
            check_server();
            if (terminal_) obey_terminal();
            if (is_time_to_part()) part();
            if (left_) break;
            server_.link().flush();
            if (is_output_refused() && leave_at_ == EventLoop::kNever) {
                // A run that ends with its client gets a broken pipe on stdout; wait for its end.
                const auto patience = run_.outlasts_client() ? 0s : kLeaveGracePeriod;
                leave_at_ = EventLoop::Clock::now() + patience;
                leave_code_ = 128 + SIGPIPE;
            }
            loop_.run_once(run_.is_finished() ? leave_at_ : std::min(leave_at_, part_at_));
            if (options_.background && !is_background_ && server_.server()) {
                leave_terminal();
                is_background_ = true;
            }
            if (EventLoop::Clock::now() >= leave_at_) leave();
        }
        if (!left_) check_server();
        terminal_.reset();  // Restores the terminal before the first message.
        if (has_parted_) wait_for_readers();
        const int code = conclude();
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return code;
    }

  private:
    // The reader of stdout has gone. Called ssh, the client goes on and exits as the command does.
    [[nodiscard]] bool is_output_refused() const {
        return out_.failure() == EPIPE && !options_.is_called_ssh;
    }

    RemoteRun& ask() {
        OutputSink& out = sink_for(out_, held_out_);
        OutputSink& err = sink_for(err_, held_err_);
        RemoteRun& run = options_.request ? server_.attach(attach_for(options_), out, err)
                                          : server_.open(open_request(), out, err);
        run.on_start([this, &run] {
            if (options_.soft_timeout) part_at_ = EventLoop::Clock::now() + *options_.soft_timeout;
            // The run is already over: only its outcome is of interest.
            if (options_.detach && run.pid() == 0) unseen_.fail(EPIPE);
        });
        return run;
    }

    OutputSink& sink_for(InheritedOutput& local, SpooledOutput& held) {
        if (options_.detach) return unseen_;
        if (is_request(options_, KeptRequest::Kind::Wait)) return unwanted_;
        return options_.json ? static_cast<OutputSink&>(held) : local;
    }

    msg::Open open_request() {
        msg::Open open = open_for(options_, options_.words);
        if (has_terminal_) {
            open.pty = describe_terminal();
            open.stdin_null = false;  // stdin is the terminal, without input.
        }
        return open;
    }

    // Throws UserError if the server lacks a feature that was requested. An old server would ignore
    // the unknown key and run the command on pipes, or end it with the connection.
    void check_server() const {
        if (has_terminal_ && server_.is_known_to_lack("ptys")) {
            throw UserError("-t: this server gives no terminals");
        }
        const bool needs_kept = options_.request || is_kept(options_) || is_in_lasting_shell();
        if (needs_kept && server_.is_known_to_lack("kept")) {
            throw UserError(is_in_lasting_shell() ? "--shell: this server has no shells that last"
                                                  : "this server keeps no runs");
        }
    }

    [[nodiscard]] bool is_in_lasting_shell() const { return !options_.shell_name.empty(); }

    void obey_terminal() {
        using Wish = TerminalSession::Wish;
        if (terminal_->wish() == Wish::Stay || left_) return;
        has_escaped_ = terminal_->wish() == Wish::Leave;
        leave_code_ = has_escaped_ ? 255 : 128 + SIGHUP;
        leave(has_escaped_ ? std::nullopt : std::optional(signal_name(SIGHUP)));
    }

    // Returns true if the client is to leave now and the run to continue (--detach,
    // --soft-timeout). A run without a pid has not started; its end is on the way.
    [[nodiscard]] bool is_time_to_part() const {
        if (left_ || run_.is_finished() || !run_.has_started()) return false;
        if (options_.detach) return run_.pid() != 0;
        return EventLoop::Clock::now() >= part_at_;
    }

    void part() {
        has_parted_ = true;
        leave();
    }

    // SIGINT: sends INT, then TERM, then KILL. Other signals: passes the signal on and leaves.
    void on_signal(int number) {
        if (number == SIGWINCH || number == SIGTSTP || number == SIGCONT) {
            if (terminal_) terminal_->on_signal(number);
            return;
        }
        ++signals_seen_;
        leave_code_ = 128 + number;
        if (run_.is_finished() || left_) {
            left_ = true;  // Only pending output is left.
            has_parted_ = false;
        } else if (number == SIGUSR1) {
            leave();
        } else if (number != SIGINT) {
            leave(signal_name(number));
        } else if (++interrupts_ <= 2) {
            run_.interrupt(interrupts_);
        } else if (run_.outlasts_client()) {
            leave();
        } else {
            run_.signal("KILL");
            run_.interrupt(interrupts_);
            if (leave_at_ == EventLoop::kNever)
                leave_at_ = EventLoop::Clock::now() + kLeaveGracePeriod;
            if (interrupts_ > 3) leave();
        }
    }

    void leave(std::optional<std::string> signal = {}) {
        was_heard_ = server_.is_up();
        // A run that continues does not get the signal.
        if (run_.outlasts_client()) signal.reset();
        server_.leave(std::move(signal));
        left_ = true;
    }

    // The outcome of a run that the client left is unknown.
    [[nodiscard]] Outcome outcome() const {
        if (run_.is_finished()) return run_.outcome();
        if (!options_.request && run_.outlasts_client() && was_heard_) return Running{};
        return Lost{"the client left before the end was told"};
    }

    [[nodiscard]] std::string how_to_attach() const {
        return "frsh --attach " + run_.id() + options_.way + " " + shell_quote(options_.target);
    }

    int conclude() {
        const Outcome end = outcome();
        if (left_) {
            tell_where_it_is();
        } else {
            tell(end);
        }
        int code = left_ && !has_parted_ ? leave_code_ : code_for(end);
        // Output was lost, so the exit code must not be 0.
        if (is_output_refused() && code == 0) code = 128 + SIGPIPE;
        for (const auto& [sink, name] : {std::pair<const OutputSink*, const char*>(&out_, "stdout"),
                                         {&err_, "stderr"},
                                         {&held_out_, "held stdout"},
                                         {&held_err_, "held stderr"}}) {
            if (sink->failure() == 0 || sink->failure() == EPIPE) continue;
            log::error(std::string(name) + ": " + std::strerror(sink->failure()));
            code = 255;
        }
        if (!write_records(end)) code = 255;
        return left_ && !has_parted_ ? leave_code_ : code;
    }

    [[nodiscard]] int code_for(const Outcome& end) const {
        const bool is_there = run_.end() && !is_damaged();
        if (is_request(options_, KeptRequest::Kind::Logs)) return is_there ? 0 : 255;
        if (options_.detach && is_started(end)) return 0;
        const int code = exit_code(end);
        return code == 0 && is_incomplete() ? 255 : code;
    }

    // Returns true if the server reports that bytes are missing which this client should have got.
    [[nodiscard]] bool is_incomplete() const {
        const auto& end = run_.end();
        return end && end->journal && (end->out.gap_at || end->err.gap_at);
    }

    // Returns true if the server reported an end, and not all bytes that it counts have arrived.
    [[nodiscard]] bool is_damaged() const {
        const auto& end = run_.end();
        if (!end || end->journal) return true;
        return std::holds_alternative<Lost>(run_.outcome()) &&
               !std::holds_alternative<Lost>(end->outcome);
    }

    [[nodiscard]] bool is_started(const Outcome& end) const {
        return !std::holds_alternative<NotStarted>(end) && run_.has_started();
    }

    void tell_where_it_is() const {
        if (options_.detach && has_parted_) return;
        if (has_parted_) {
            const char* const how =
                was_heard_ ? "still running after " : "not heard to end within ";
            return log::error(how + in_words(*options_.soft_timeout) + ": " + how_to_attach());
        }
        if (run_.is_finished()) return;
        if (options_.request) {
            log::error("left; to follow it again: " + how_to_attach());
        } else if (run_.outlasts_client()) {
            log::error(std::string("left; the run ") + (was_heard_ ? "goes" : "may go") +
                       " on: " + how_to_attach());
        } else if (has_escaped_) {
            log::error("left; what ran there is ended");
        }
    }

    // Reports on stderr what the exit code cannot express.
    void tell(const Outcome& end) const {
        if (options_.request && run_.refusal()) {
            return log::error(options_.request->run + ": " + escape_controls(*run_.refusal()));
        }
        const auto* const signaled = std::get_if<Signaled>(&end);
        const bool expected = std::holds_alternative<Exited>(end) ||
                              std::holds_alternative<Running>(end) ||
                              (signaled != nullptr && (interrupts_ > 0 || out_.failure() != 0));
        if (expected) {
            log::info(describe(end));
        } else {
            log::error(describe(end) + what_is_left(end));
        }
        report_processes(run_, "");
        if (run_.end() && run_.end()->journal) {
            log::error("not all of its output was kept: " + escape_controls(*run_.end()->journal));
        }
    }

    // Returns a hint for a run whose end did not arrive.
    [[nodiscard]] std::string what_is_left(const Outcome& end) const {
        if (!std::holds_alternative<Lost>(end) || !run_.is_kept()) return "";
        if (!run_.end()) return "; it may go on: " + how_to_attach();
        // An undamaged record of `lost` is all that the server knows.
        return is_damaged() ? "; to ask again: " + how_to_attach() : "";
    }

    bool write_records(const Outcome& end) {
        asked_.tls = server_.tls();
        try {
            if (options_.status_fd >= 0) {
                InheritedOutput status(loop_, "the record", options_.status_fd,
                                       InheritedOutput::WasOpen::Yes);
                status.write(record_of(run_, end, asked_, nullptr, nullptr) + "\n");
                wait_for_reader(status);
                if (status.failure() != 0) throw SysError("write", status.failure());
            }
            if (options_.detach && is_started(end)) {
                out_.write(run_.id() + "\n");
                wait_for_reader(out_);
            } else if (options_.json) {
                out_.write(record_of(run_, end, asked_, &held_out_, &held_err_) + "\n");
                wait_for_reader(out_);
            }
            out_.close();
        } catch (const SysError& error) {
            log::error(std::string("the record: ") + error.what());
            return false;
        }
        if (out_.failure() != 0 && (options_.json || options_.detach)) {
            log::error(std::string("stdout: ") + std::strerror(out_.failure()));
            return false;
        }
        return out_.failure() == 0 || out_.failure() == EPIPE;
    }

    // Blocks until the reader has taken all output, or until a signal. After leave(), waits for at
    // most kLeaveGracePeriod.
    void wait_for_reader(const InheritedOutput& output) {
        const int seen = signals_seen_;
        const Time until =
            left_ && !has_parted_ ? EventLoop::Clock::now() + kLeaveGracePeriod : EventLoop::kNever;
        while (!output.is_drained() && signals_seen_ == seen && EventLoop::Clock::now() < until)
            loop_.run_once(until);
    }

    // Writes all received output before the first message about the run.
    void wait_for_readers() {
        wait_for_reader(out_);
        wait_for_reader(err_);
    }

    const ClientOptions& options_;
    Asked asked_;
    bool has_terminal_;  // The run has a terminal.
    bool has_keys_;      // Its keys come from the local terminal.
    EventLoop loop_;
    Signals signals_;
    InheritedOutput out_;
    InheritedOutput err_;
    SpooledOutput held_out_;
    SpooledOutput held_err_;
    NullSink unseen_{0};  // The journal has the output.
    NullSink unwanted_{EPIPE};
    ServerConnection server_;
    Time part_at_ = EventLoop::kNever;
    RemoteRun& run_;
    std::optional<StdinSource> input_;
    std::optional<TerminalSession> terminal_;
    bool has_escaped_ = false;
    EventLoop::Watch signal_watch_;
    int interrupts_ = 0;
    int signals_seen_ = 0;
    int leave_code_ = 0;
    Time leave_at_ = EventLoop::kNever;
    bool left_ = false;
    bool has_parted_ = false;  // Left on purpose: --detach or --soft-timeout.
    bool was_heard_ = false;   // The connection was up when the client left.
    bool is_background_ = false;
};

}  // namespace

int run_without_command(const ClientOptions& options) {
    EventLoop loop;
    Signals signals({SIGINT, SIGTERM, SIGHUP});
    int told = 0;
    const auto watch = loop.watch(
        "signals: to leave", signals.fd(), [] { return short{POLLIN}; },
        [&](short) {
            for (const int number : signals.take())
                told = number;
        });
    ServerConnection server(loop, connect_to(options));
    bool is_background = false;
    while (told == 0 && !server.is_down()) {
        server.turn();
        if (!options.background || is_background || !server.server()) continue;
        if (options.wants_sharing) {
            // No other client can use this connection, so a process that keeps it is of no use.
            log::info("-M: connections are not shared; the login works, and none is kept");
            server.link().send(msg::Bye{});
            server.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
            return 0;
        }
        leave_terminal();
        is_background = true;
    }
    if (told != 0) {
        server.link().send(msg::Bye{});
        server.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return 128 + told;
    }
    log::error(server.problem().empty() ? "the connection closed" : server.problem());
    return 255;
}

int run_one_shot(const ClientOptions& options, const StandardStreams& streams) {
    if (options.status_fd >= 0 && ::fcntl(options.status_fd, F_GETFD) == -1) {
        throw UserError("--status-fd " + std::to_string(options.status_fd) + ": not open");
    }
    return OneShot(options, streams).run();
}

}  // namespace frsh
