#include "client/modes/batch.hpp"

#include "client/connection/remote_shell.hpp"
#include "client/connection/renewable_connection.hpp"
#include "client/holder/shared_link.hpp"
#include "client/io/deferred_sink.hpp"
#include "client/io/line_reader.hpp"
#include "client/modes/batch_progress.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using Time = EventLoop::Time;

constexpr int kBatchFailure = 255;
// From SIGTERM to the exit: the server gives the commands 2 seconds. What they print is shown.
constexpr std::chrono::seconds kBatchEndingTime{3};

struct Job {
    std::size_t line;
    std::string command;
    DeferredSink out;
    DeferredSink err;
    RemoteRun* run = nullptr;
};

// A shell keeps its state in one session, so a batch in a shell cannot go on in another session.
std::chrono::milliseconds renewal_grace(const ClientOptions& options) {
    return options.one_shell ? std::chrono::milliseconds{0} : on_disconnect_of(options).grace;
}

class Batch {
  public:
    Batch(const ClientOptions& options, const StandardStreams& streams)
        : options_(options),
          signals_(without_ignored({SIGINT, SIGTERM, SIGHUP})),
          out_(loop_, "stdout", STDOUT_FILENO,
               streams.was_open[1] ? InheritedOutput::WasOpen::Yes : InheritedOutput::WasOpen::No),
          err_(loop_, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes),
          session_(
              loop_, connect_or_share(options),
              [this](const Message& message) {
                  if (shell_) shell_->on_message(message);
              },
              renewal_grace(options)),
          lines_(loop_, STDIN_FILENO, [this] { return may_read(); }) {
        for (const auto& [output, fd] : {std::pair(&out_, STDOUT_FILENO), {&err_, STDERR_FILENO}}) {
            if (!progress_.is_shown() || ::isatty(fd) != 1) continue;
            output->watch_writes([this](std::string_view bytes) { progress_.make_room(bytes); });
        }
        if (options.status_fd >= 0) {
            records_.emplace(loop_, "the records", options.status_fd,
                             InheritedOutput::WasOpen::Yes);
        }
        if (options.one_shell) {
            shell_.emplace(session_.server(), options.env, options.cwd, on_disconnect_of(options));
        }
        signal_watch_ = loop_.watch(
            "signals: for the commands", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    on_signal(number);
            });
    }

    int run() {
        while (state_ != State::Left) {
            start_jobs();
            if (is_done()) break;
            if (is_drained()) progress_.show({done_, failed_, jobs_.size(), line_number_});
            session_.server().turn(std::min(leave_at_, progress_.next_change()));
            conclude_jobs();
            if (out_.failure() == EPIPE) leave(128 + SIGPIPE);
            if (EventLoop::Clock::now() >= leave_at_) leave(code_);
        }
        progress_.clear();
        if (state_ == State::Running && session_.is_closed() && has_more_lines()) {
            give_up(session_.server().problem());
        }
        if (state_ != State::Left && !flush_output()) code_ = kBatchFailure;
        const Time deadline = EventLoop::Clock::now() + kLeaveGracePeriod;
        if (state_ != State::Left && shell_) shell_->close(deadline);
        session_.server().finish(deadline);
        return code_;
    }

  private:
    // Running ── SIGINT, or the shell is lost ──▶ Stopping: no further line is started
    // Running, Stopping ── another signal, stdout has no reader, the grace period is over ──▶ Left
    enum class State { Running, Stopping, Left };

    // Reads at most one line ahead of the running jobs. A new session is begun only for a line.
    [[nodiscard]] bool may_read() {
        return state_ == State::Running && jobs_.size() < options_.jobs && !next_line_ &&
               !session_.is_closed();
    }

    [[nodiscard]] bool has_more_lines() const { return next_line_ || !lines_.is_at_end(); }

    [[nodiscard]] bool is_done() {
        const bool no_more = state_ != State::Running || session_.is_closed() || !has_more_lines();
        return no_more && jobs_.empty() && is_drained();
    }

    [[nodiscard]] bool is_drained() const {
        return out_.is_drained() && err_.is_drained() && (!records_ || records_->is_drained());
    }

    void start_jobs() {
        for (;;) {
            if (may_read()) next_line_ = lines_.take();
            if (!next_line_ || state_ != State::Running || session_.is_closed()) return;
            if (!session_.is_open()) {
                if (jobs_.empty()) session_.renew();
                return;
            }
            ++line_number_;
            std::string line = *std::exchange(next_line_, std::nullopt);
            if (line.find_first_not_of(" \t\r") != std::string::npos) start(std::move(line));
        }
    }

    void start(std::string line) {
        if (shell_ && shell_->ended() && !replace_shell()) return;
        auto job = std::make_unique<Job>();
        job->line = line_number_;
        job->command = line;
        try {
            msg::Open open = open_for(options_, {std::move(line)});
            open.stdin_null = true;
            if (shell_) shell_->place(open);
            job->run = &session_.server().open(std::move(open), job->out, job->err);
        } catch (const UserError& error) {
            fail(kBatchFailure, "line " + std::to_string(line_number_) + ": " + error.what());
            const NotStarted why{"usage", 0, error.what()};
            return write_record([&](const SpooledOutput*, const SpooledOutput*) {
                return failure_record(asked(*job), why, std::nullopt);
            });
        }
        jobs_.push_back(std::move(job));
    }

    // A shell that a line has ended is replaced. A shell that was lost with the connection is not:
    // the lines after it would run without its variables and folder.
    bool replace_shell() {
        const Outcome how = *shell_->ended();
        if (std::holds_alternative<Lost>(how)) {
            --line_number_;
            give_up(describe(how));
            state_ = State::Stopping;
            return false;
        }
        log::error("the shell ended (" + describe(how) + "); another takes over");
        shell_->reopen();
        return true;
    }

    void conclude_jobs() {
        while (!jobs_.empty()) {
            Job& first = *jobs_.front();
            const bool out_is_through = options_.json || first.out.let_through(out_);
            const bool err_is_through = options_.json || first.err.let_through(err_);
            // Its output is written before any message about it.
            if (!out_is_through || !err_is_through || !first.run->is_finished() || !is_drained()) {
                return;
            }
            conclude(first);
            session_.server().forget(*first.run);
            jobs_.pop_front();
        }
    }

    void conclude(const Job& job) {
        const Outcome& outcome = job.run->outcome();
        if (shell_) shell_->note_end(*job.run);
        const std::string where = "line " + std::to_string(job.line) + ": ";
        const int code = exit_code(outcome);
        ++done_;
        if (code != 0) ++failed_;
        if (code != 0) fail(code, where + describe(outcome));
        // An unknown outcome counts more than the exit code of an earlier line.
        if (std::holds_alternative<Lost>(outcome)) code_ = kBatchFailure;
        report_processes(*job.run, where);
        for (const DeferredSink* const sink : {&job.out, &job.err}) {
            if (sink->failure() == 0 || sink->failure() == EPIPE) continue;
            const bool is_spool = sink->held().failure() != 0;
            code_ = kBatchFailure;  // The run may have been ended by this failure.
            fail(kBatchFailure,
                 where + (is_spool ? sink->held().problem()
                                   : "output: " + std::string(std::strerror(sink->failure()))));
        }
        write_record(
            [&](const SpooledOutput* out, const SpooledOutput* err) {
                return record_of(*job.run, outcome, asked(job), out, err);
            },
            spooled(job.out), spooled(job.err));
    }

    [[nodiscard]] Asked asked(const Job& job) {
        return {options_.target, {job.command}, false, true, session_.server().tls()};
    }

    // Calls `record_with` for each place that gets a record; only the one on stdout has the output.
    template <typename RecordWith>
    void write_record(const RecordWith& record_with, const SpooledOutput* out = nullptr,
                      const SpooledOutput* err = nullptr) {
        if (records_) records_->write(record_with(nullptr, nullptr) + "\n");
        if (options_.json) out_.write(record_with(out, err) + "\n");
    }

    // Returns the output for the record; nullptr if it could not be stored.
    static const SpooledOutput* spooled(const DeferredSink& sink) {
        return sink.held().failure() == 0 ? &sink.held() : nullptr;
    }

    bool flush_output() {
        while (state_ != State::Left && !is_drained())
            loop_.run_once();
        out_.close();
        bool is_written = true;
        const auto check_output = [&is_written](const InheritedOutput& output, const char* name) {
            if (output.failure() == 0 || output.failure() == EPIPE) return;
            log::error(std::string(name) + ": " + std::strerror(output.failure()));
            is_written = false;
        };
        check_output(out_, "stdout");
        if (records_) check_output(*records_, "--status-fd");
        // A record that was not written is a failure also if its reader has gone.
        return is_written && !(records_ && records_->failure() != 0);
    }

    void fail(int code, const std::string& why) {
        progress_.clear();
        log::error(why);
        if (code_ == 0) code_ = code;
    }

    // Reports that lines are left which cannot be run any more.
    void give_up(const std::string& why) {
        progress_.clear();
        log::error((why.empty() ? "the server closed the connection" : why) +
                   (shell_ ? "; the shell is gone" : "") + "; the lines after " +
                   std::to_string(line_number_) + " were not run");
        code_ = kBatchFailure;
    }

    void leave(int code, std::optional<std::string> signal = {}) {
        code_ = code;
        session_.server().link().send(msg::Bye{std::move(signal)});
        state_ = State::Left;
    }

    // Treats signals as one_shot.cpp does, for every running job. No more jobs are started.
    void on_signal(int number) {
        if (state_ == State::Running) state_ = State::Stopping;
        const auto step = interrupts_.on_signal(number, EventLoop::Clock::now());
        const bool is_told = number == SIGTERM && !std::exchange(was_told_, true);
        if (step == InterruptLadder::Step::Leave && !is_told) {
            return leave(128 + number, signal_name(number));
        }
        bool any_runs = false;
        for (const auto& job : jobs_) {
            if (job->run->is_finished()) continue;
            is_told ? job->run->cancel() : job->run->interrupt(step);
            any_runs = true;
        }
        if (!any_runs) return leave(128 + number);  // Only pending output or the next line is left.
        if (code_ == 0 || is_told) code_ = 128 + number;
        leave_at_ = std::min(leave_at_, is_told ? EventLoop::Clock::now() + kBatchEndingTime
                                                : interrupts_.leave_at());
    }

    // One member more than usual: each stream of the batch, and each part of its life, is one.
    // 20 members: eleven of them are objects with a class of their own; the rest is where the batch
    // is.
    const ClientOptions& options_;
    EventLoop loop_;
    Signals signals_;
    BatchProgress progress_;  // Before the outputs, which report to it.
    InheritedOutput out_;
    InheritedOutput err_;
    std::optional<InheritedOutput> records_;  // --status-fd
    std::optional<RemoteShell> shell_;
    std::deque<std::unique_ptr<Job>> jobs_;
    RenewableConnection session_;  // Declared after the jobs: its runs use their sinks.
    LineReader lines_;
    std::optional<std::string> next_line_;  // Read, and not started yet.
    EventLoop::Watch signal_watch_;
    std::size_t line_number_ = 0;  // The line that was started last.
    std::size_t done_ = 0;
    std::size_t failed_ = 0;
    int code_ = 0;
    InterruptLadder interrupts_;
    bool was_told_ = false;  // By SIGTERM.
    Time leave_at_ = EventLoop::kNever;
    State state_ = State::Running;
};

}  // namespace

int run_batch(const ClientOptions& options, const StandardStreams& streams) {
    return Batch(options, streams).run();
}

}  // namespace frsh
