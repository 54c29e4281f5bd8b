#include "client/modes/one_shot.hpp"

#include "client/connection/server_connection.hpp"
#include "client/connection/stage_error.hpp"
#include "client/forward/forwards.hpp"
#include "client/holder/shared_link.hpp"
#include "client/modes/detached_input.hpp"
#include "client/modes/login_only.hpp"
#include "client/modes/terminal_use.hpp"
#include "client/run/exit_report.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "client/run/run_outputs.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "client/run/stdin_source.hpp"
#include "client/run/terminal_session.hpp"
#include "common/base/error.hpp"
#include "common/base/last_word.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Time = EventLoop::Time;

RunOutputs::To output_for(const ClientOptions& options) {
    if (options.detach) return RunOutputs::To::Journal;
    if (is_request(options, KeptRequest::Kind::Wait)) return RunOutputs::To::Nowhere;
    return options.json ? RunOutputs::To::Record : RunOutputs::To::Streams;
}

RunFacts::Mode mode_of(const ClientOptions& options) {
    if (options.detach) return RunFacts::Mode::Detach;
    if (!options.request) return RunFacts::Mode::Command;
    if (is_request(options, KeptRequest::Kind::Logs)) return RunFacts::Mode::Logs;
    if (is_request(options, KeptRequest::Kind::Wait)) return RunFacts::Mode::Wait;
    return RunFacts::Mode::Attach;
}

// Throws StageError if the server lacks a requested feature: it would ignore the unknown key.
void check_features(const ServerConnection& server, const ClientOptions& options, TerminalUse use) {
    if (use != TerminalUse::None && server.is_known_to_lack("ptys")) {
        throw StageError("server", "-t: this server gives no terminals");
    }
    const bool is_in_lasting_shell = !options.shell_name.empty();
    const bool needs_kept = options.request || is_kept(options) || is_in_lasting_shell;
    if (options.asks_for_bashrc && server.is_known_to_lack("bashrc")) {
        throw StageError("server", "--bashrc: this server cannot ask a shell for it");
    }
    if (needs_kept && server.is_known_to_lack("kept")) {
        throw StageError("server", is_in_lasting_shell
                                       ? "--shell: this server has no shells that last"
                                       : "this server keeps no runs");
    }
}

constexpr auto kTimeToEnd = 3s;  // After SIGTERM: the server gives the command 2 seconds.

class OneShot {
  public:
    OneShot(const ClientOptions& options, const StandardStreams& streams)
        : options_(options),
          terminal_use_(terminal_use(options)),
          signals_(without_ignored(signals_for(terminal_use_))),
          outputs_(loop_, streams, output_for(options),
                   options.is_called_ssh ? RunOutputs::ClosedStdout::Ignored
                                         : RunOutputs::ClosedStdout::Matters),
          forwards_(loop_, options),
          server_(loop_, connect_or_share(options),
                  [this](const Message& message) { forwards_.on_message(message); }),
          run_(ask()) {
        if (options.request || options.detach) {
            // Such a run gets no stdin from this client.
            if (options.detach && !options.stdin_null) report_unread_stdin();
        } else if (terminal_use_ != TerminalUse::None && options.stdin_null) {
            run_.finish_stdin();
        } else if (terminal_use_ == TerminalUse::ScreenAndKeys) {
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
        while (is_here() && !(run_.is_finished() && outputs_.is_drained() && forwards_.is_idle()))
            turn();
        if (is_here()) {
            state_ = State::Ended;
            check_features(server_, options_, terminal_use_);
        }
        terminal_.reset();  // Restores the terminal before the first message.
        if (!run_.has_exited()) outputs_.reset_screen();
        if (state_ != State::Ended || !run_.has_exited()) wait_for_readers();
        const int code = conclude();
        forwards_.stop();
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return code;
    }

  private:
    // Running ── the run has ended, its output is written ──▶ Ended
    // Running ── --detach, --soft-timeout: the run continues ──▶ Parted
    // Running ── the run was killed, or the reader of stdout has gone ──▶ Leaving
    // Leaving ── the run has ended, its output is written ──▶ Ended
    // Running, Leaving ── a signal, or the grace period is over ──▶ Left
    // Running, Leaving ── the user typed the escape ──▶ Escaped
    // Ended, Parted ── a signal while a reader has not taken the last output ──▶ Left
    enum class State { Running, Leaving, Ended, Parted, Left, Escaped };

    [[nodiscard]] bool is_here() const {
        return state_ == State::Running || state_ == State::Leaving;
    }
    [[nodiscard]] bool has_left() const {
        return state_ == State::Left || state_ == State::Escaped;
    }

    // Waits for one event and obeys it.
    void turn() {
        check_features(server_, options_, terminal_use_);
        if (terminal_) obey_terminal();
        if (is_time_to_part()) leave(State::Parted);
        if (!is_here()) return;
        server_.link().flush();
        if (outputs_.has_lost_reader()) {
            // A run that ends with its client gets a broken pipe on stdout; wait for its end.
            leave_later(128 + SIGPIPE, run_.outlasts_client() ? 0s : kLeaveGracePeriod);
        }
        loop_.run_once(run_.is_finished() ? leave_.at : std::min(leave_.at, part_at_));
        forwards_.progress();
        if (input_) input_->pause(forwards_.is_asking());
        if (terminal_) terminal_->pause(forwards_.is_asking());
        if (options_.background && !is_background_ && server_.server() && forwards_.is_ready()) {
            leave_terminal();
            is_background_ = true;
        }
        if (is_here() && EventLoop::Clock::now() >= leave_.at) leave(State::Left);
    }

    RemoteRun& ask() {
        forwards_.start(server_);
        forwards_.await_required(signals_.fd());
        RemoteRun& run = options_.request
                             ? server_.attach(attach_for(options_), outputs_.out(), outputs_.err())
                             : server_.open(open_request(), outputs_.out(), outputs_.err());
        run.on_start([this, &run] {
            if (options_.soft_timeout) part_at_ = EventLoop::Clock::now() + *options_.soft_timeout;
            if (options_.detach && run.pid() == 0) outputs_.stop_detached();
        });
        return run;
    }

    msg::Open open_request() {
        msg::Open open = open_for(options_, options_.words);
        if (terminal_use_ != TerminalUse::None) {
            open.pty = describe_terminal();
            open.stdin_null = false;  // stdin is the terminal, without input.
        }
        return open;
    }

    void obey_terminal() {
        using Wish = TerminalSession::Wish;
        if (terminal_->wish() == Wish::Stay || !is_here()) return;
        if (terminal_->wish() == Wish::Leave) {
            leave_.code = 255;
            return leave(State::Escaped);
        }
        leave_.code = 128 + SIGHUP;
        leave(State::Left, signal_name(SIGHUP));
    }

    // Returns true if the client is to leave now and the run to continue (--detach,
    // --soft-timeout). A run without a pid has not started; its end is on the way.
    [[nodiscard]] bool is_time_to_part() const {
        if (!is_here() || run_.is_finished() || !run_.has_started()) return false;
        if (options_.detach) return run_.pid() != 0;
        return EventLoop::Clock::now() >= part_at_;
    }

    // Passes terminal signals to the terminal, and all others to the run; see InterruptLadder.
    void on_signal(int number) {
        if (number == SIGWINCH || number == SIGTSTP || number == SIGCONT) {
            if (terminal_) terminal_->on_signal(number);
            return;
        }
        leave_.code = 128 + number;
        if (run_.is_finished() || !is_here()) {
            // Only pending output is left.
            const auto patience = has_left() ? 0s : kLeaveGracePeriod;
            leave_.at = EventLoop::Clock::now() + patience;
            state_ = State::Left;
        } else if (number == SIGUSR1) {
            leave(State::Left);
        } else if (number == SIGTERM && may_wait_for_end()) {
            run_.cancel();
            state_ = State::Leaving;
            leave_.is_told = true;
            leave_.at = EventLoop::Clock::now() + kTimeToEnd;
        } else if (!server_.server()) {
            // Still connecting: nothing runs there that could be interrupted.
            leave(State::Left, signal_name(number));
        } else {
            obey(interrupts_.on_signal(number, EventLoop::Clock::now()), number);
        }
    }

    // After SIGTERM, what the command prints until its end is shown. ssh leaves at once.
    [[nodiscard]] bool may_wait_for_end() const {
        return !leave_.is_told && !run_.outlasts_client() && server_.is_up() &&
               !options_.is_called_ssh;
    }

    void obey(InterruptLadder::Step step, int number) {
        using Step = InterruptLadder::Step;
        if (step == Step::Leave) return leave(State::Left, signal_name(number));
        if (step != Step::Kill) return run_.interrupt(step);
        if (run_.outlasts_client()) return leave(State::Left);
        run_.signal("KILL");
        run_.interrupt(step);
        state_ = State::Leaving;
        leave_.at = std::min(leave_.at, interrupts_.leave_at());
    }

    void leave_later(int code, std::chrono::seconds grace) {
        if (state_ == State::Leaving) return;
        state_ = State::Leaving;
        leave_.code = code;
        leave_.at = EventLoop::Clock::now() + grace;
    }

    void leave(State how, std::optional<std::string> signal = {}) {
        state_ = how;
        leave_.was_up = server_.is_up();
        leave_.at = EventLoop::Clock::now() + kLeaveGracePeriod;
        // A run that continues does not get the signal.
        if (run_.outlasts_client()) signal.reset();
        server_.leave(std::move(signal));
    }

    // The outcome of a run that the client left is unknown.
    [[nodiscard]] Outcome outcome() const {
        if (run_.is_finished()) return run_.outcome();
        if (!options_.request && run_.outlasts_client() && leave_.was_up) return Running{};
        return Lost{"the client left before the end was told"};
    }

    [[nodiscard]] RunFacts::Client client() const {
        using Client = RunFacts::Client;
        if (state_ == State::Parted) return Client::Parted;
        if (state_ == State::Escaped) return Client::Escaped;
        return state_ == State::Left ? Client::Left : Client::Stayed;
    }

    [[nodiscard]] RunFacts facts() const {
        RunFacts facts;
        facts.mode = mode_of(options_);
        facts.client = client();
        facts.outcome = outcome();
        facts.run = run_.id();
        facts.how_to_attach =
            "frsh --attach " + run_.id() + options_.way + " " + shell_quote(options_.target);
        facts.leave_code = leave_.code;
        facts.soft_timeout = options_.soft_timeout;
        if (options_.request) facts.refusal = run_.refusal();
        facts.has_started = run_.has_started();
        facts.is_finished = run_.is_finished();
        facts.is_end_known = run_.end().has_value();
        if (const auto& end = run_.end()) {
            facts.journal = end->journal;
            facts.is_contradicted = std::holds_alternative<Lost>(facts.outcome) &&
                                    !std::holds_alternative<Lost>(end->outcome);
        }
        facts.lacks_bytes = run_.lacks_bytes();
        facts.is_kept = run_.is_kept();
        facts.outlasts_client = run_.outlasts_client();
        facts.was_up = leave_.was_up;
        facts.was_ended = interrupts_.has_begun() || outputs_.standard_out().failure() != 0;
        return facts;
    }

    int conclude() {
        const RunFacts facts = this->facts();
        const ExitReport report = report_exit(facts);
        if (report.info) log::info(*report.info);
        // With -q too: without its reason, a 255 could be the command's.
        for (const std::string& line : report.errors) {
            if (leave_.is_told) continue;  // After SIGTERM, the end is no news.
            report.code == 255 ? log::last_word(line) : log::error(line);
        }
        if (state_ == State::Ended && !facts.refusal) report_missing(facts);
        int code = outputs_.report_failures(report.code);
        if (!write_records(facts.outcome)) code = 255;
        return has_left() || leave_.is_told ? leave_.code : code;
    }

    void report_missing(const RunFacts& facts) const {
        report_processes(run_, "");
        // A lost run has given its reason already.
        if (!facts.journal || std::holds_alternative<Lost>(facts.outcome)) return;
        log::error("not all of its output was kept: " + escape_controls(*facts.journal));
    }

    bool write_records(const Outcome& end) {
        const Asked asked{options_.target, options_.words, options_.argv, !options_.request,
                          server_.tls()};
        InheritedOutput& out = outputs_.standard_out();
        const bool is_started = run_.has_started() && !std::holds_alternative<NotStarted>(end);
        const bool has_id = options_.detach && is_started;
        try {
            if (options_.status_fd >= 0) {
                InheritedOutput status(loop_, "the record", options_.status_fd,
                                       InheritedOutput::WasOpen::Yes);
                status.write(record_of(run_, end, asked, nullptr, nullptr) + "\n");
                wait_for_reader(status);
                if (status.failure() != 0) throw SysError("write", status.failure());
            }
            if (has_id) {
                out.write(run_.id() + "\n");
            } else if (options_.json) {
                out.write(
                    record_of(run_, end, asked, outputs_.spooled_out(), outputs_.spooled_err()) +
                    "\n");
            }
            wait_for_reader(out);
            out.close();
        } catch (const SysError& error) {
            log::error(std::string("the record: ") + error.what());
            return false;
        }
        if (out.failure() != 0 && (options_.json || options_.detach)) {
            log::error(std::string("stdout: ") + std::strerror(out.failure()));
            return false;
        }
        return out.failure() == 0 || out.failure() == EPIPE;
    }

    // Blocks until the reader has taken all output, a signal, or leave_.at if the client has left.
    void wait_for_reader(const InheritedOutput& output) {
        const State before = state_;
        const auto until = [this] { return has_left() ? leave_.at : EventLoop::kNever; };
        while (!output.is_drained() && state_ == before && EventLoop::Clock::now() < until())
            loop_.run_once(until());
    }

    // Writes all output before the first message about the run. Blocks as wait_for_reader() does.
    void wait_for_readers() {
        const State before = state_;
        const auto until = [this] { return has_left() ? leave_.at : EventLoop::kNever; };
        while (!outputs_.is_drained() && state_ == before && EventLoop::Clock::now() < until())
            loop_.run_once(until());
    }

    // When and why this client leaves before the end.
    struct Leave {
        Time at = EventLoop::kNever;
        int code = 255;
        bool was_up = false;   // The connection was up then.
        bool is_told = false;  // By SIGTERM. The client waits for the end that it asked for.
    };

    const ClientOptions& options_;
    TerminalUse terminal_use_;
    EventLoop loop_;
    Signals signals_;
    RunOutputs outputs_;
    Forwards forwards_;  // Before the connection, whose runs write to it.
    ServerConnection server_;
    Time part_at_ = EventLoop::kNever;
    RemoteRun& run_;
    std::optional<StdinSource> input_;
    std::optional<TerminalSession> terminal_;
    EventLoop::Watch signal_watch_;
    InterruptLadder interrupts_;
    Leave leave_;
    State state_ = State::Running;
    bool is_background_ = false;
};

}  // namespace

int run_one_shot(const ClientOptions& options, const StandardStreams& streams) {
    if (options.status_fd >= 0 && ::fcntl(options.status_fd, F_GETFD) == -1) {
        throw UserError("--status-fd " + std::to_string(options.status_fd) + ": not open");
    }
    return OneShot(options, streams).run();
}

}  // namespace frsh
