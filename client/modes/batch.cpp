#include "client/modes/batch.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/remote_shell.hpp"
#include "client/io/line_reader.hpp"
#include "client/run/run_record.hpp"
#include "client/run/run_report.hpp"
#include "client/run/run_request.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <csignal>
#include <cstring>
#include <deque>

#include <unistd.h>

namespace frsh {
namespace {

using Time = EventLoop::Time;

// DeferredSink stores output until let_through(), then passes it on to the real sink.
class DeferredSink : public OutputSink {
  public:
    void write(std::string_view bytes) override {
        if (sink_ != nullptr) {
            sink_->write(bytes);
        } else {
            held_.write(bytes);
        }
    }
    // Stored bytes count as used: they are spooled to a file.
    Offset take_used() override {
        return held_.take_used() + (sink_ != nullptr ? sink_->take_used() : 0);
    }
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override {
        return held_.failure() != 0 || sink_ == nullptr ? held_.failure() : sink_->failure();
    }

    // Passes on only as much as the sink takes now, so that stored output stays out of memory.
    // Returns true once all stored output has been passed on.
    bool let_through(OutputSink& sink) {
        if (sink_ != nullptr) return true;
        std::string buffer(kPiece, '\0');
        while (passed_on_ < held_.size() && sink.is_drained()) {
            const std::string_view piece = held_.piece(passed_on_, buffer).substr(0, kPiece);
            if (piece.empty()) break;  // Storing failed; failure() has the reason.
            sink.write(piece);
            passed_on_ += piece.size();
        }
        if (!sink.is_drained()) return false;
        (void)sink.take_used();  // These bytes were counted when they were stored.
        sink_ = &sink;
        return true;
    }
    [[nodiscard]] const SpooledOutput& held() const { return held_; }

  private:
    static constexpr std::size_t kPiece = 256 * 1024;
    SpooledOutput held_;
    Offset passed_on_ = 0;
    OutputSink* sink_ = nullptr;  // Set once all stored output has been passed on.
};

struct Job {
    std::size_t line;
    std::string command;
    DeferredSink out;
    DeferredSink err;
    RemoteRun* run = nullptr;
};

class Batch {
  public:
    Batch(const ClientOptions& options, const StandardStreams& streams)
        : options_(options),
          signals_({SIGINT, SIGTERM, SIGHUP}),
          out_(loop_, "stdout", STDOUT_FILENO,
               streams.was_open[1] ? InheritedOutput::WasOpen::Yes : InheritedOutput::WasOpen::No),
          err_(loop_, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes),
          server_(loop_, connect_to(options),
                  [this](const Message& message) {
                      if (shell_) shell_->on_message(message);
                  }),
          lines_(loop_, STDIN_FILENO, [this] { return may_read(); }) {
        if (options.one_shell) {
            shell_.emplace(server_, options.env, options.cwd, on_disconnect_of(options));
        }
        signal_watch_ = loop_.watch(
            "signals: for the commands", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    on_signal(number);
            });
    }

    int run() {
        while (!left_) {
            start_jobs();
            if (is_done()) break;
            server_.turn(leave_at_);
            conclude_jobs();
            if (out_.failure() == EPIPE) leave(128 + SIGPIPE);
            if (EventLoop::Clock::now() >= leave_at_) left_ = true;
        }
        if (!left_ && !stopping_ && server_.is_down() && !lines_.is_at_end()) {
            const std::string& why = server_.problem();
            fail(255, (why.empty() ? "the server closed the connection" : why) +
                          "; the lines after " + std::to_string(line_number_) + " were not run");
        }
        if (!left_ && !flush_output()) code_ = 255;
        if (!left_ && shell_) shell_->close(EventLoop::Clock::now() + kLeaveGracePeriod);
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return code_;
    }

  private:
    // Reads at most one line ahead of the running jobs.
    [[nodiscard]] bool may_read() const {
        return !stopping_ && jobs_.size() < options_.jobs && !server_.is_down();
    }

    [[nodiscard]] bool is_done() const {
        const bool no_more = stopping_ || server_.is_down() || lines_.is_at_end();
        return no_more && jobs_.empty() && out_.is_drained() && err_.is_drained();
    }

    void start_jobs() {
        while (may_read()) {
            auto line = lines_.take();
            if (!line) break;
            ++line_number_;
            if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
            start(std::move(*line));
        }
    }

    void start(std::string line) {
        if (shell_ && shell_->ended()) {
            log::error("the shell ended (" + describe(*shell_->ended()) + "); another takes over");
            shell_->reopen();
        }
        auto job = std::make_unique<Job>();
        job->line = line_number_;
        job->command = line;
        try {
            msg::Open open = open_for(options_, {std::move(line)});
            open.stdin_null = true;
            if (shell_) shell_->place(open);
            job->run = &server_.open(std::move(open), job->out, job->err);
        } catch (const UserError& error) {
            return fail(255, "line " + std::to_string(line_number_) + ": " + error.what());
        }
        jobs_.push_back(std::move(job));
    }

    void conclude_jobs() {
        while (!jobs_.empty()) {
            Job& first = *jobs_.front();
            const bool out_is_through = options_.json || first.out.let_through(out_);
            const bool err_is_through = options_.json || first.err.let_through(err_);
            // Its output is written before any message about it.
            if (!out_is_through || !err_is_through || !first.run->is_finished() ||
                !out_.is_drained() || !err_.is_drained())
                return;
            conclude(first);
            server_.forget(*first.run);
            jobs_.pop_front();
        }
    }

    void conclude(const Job& job) {
        const Outcome& outcome = job.run->outcome();
        if (shell_) shell_->note_end(*job.run);
        const std::string where = "line " + std::to_string(job.line) + ": ";
        const int code = exit_code(outcome);
        if (code != 0) fail(code, where + describe(outcome));
        report_processes(*job.run, where);
        for (const DeferredSink* const sink : {&job.out, &job.err}) {
            if (sink->failure() == 0 || sink->failure() == EPIPE) continue;
            fail(255, where + "output: " + std::strerror(sink->failure()));
        }
        if (!options_.json) return;
        out_.write(record_of(*job.run, outcome,
                             {options_.target, {job.command}, false, true, server_.tls()},
                             &job.out.held(), &job.err.held()) +
                   "\n");
    }

    bool flush_output() {
        while (!left_ && (!out_.is_drained() || !err_.is_drained()))
            loop_.run_once();
        out_.close();
        if (out_.failure() == 0 || out_.failure() == EPIPE) return true;
        log::error(std::string("stdout: ") + std::strerror(out_.failure()));
        return false;
    }

    void fail(int code, const std::string& why) {
        log::error(why);
        if (code_ == 0) code_ = code;
    }

    void leave(int code, std::optional<std::string> signal = {}) {
        code_ = code;
        server_.link().send(msg::Bye{std::move(signal)});
        left_ = true;
    }

    // Treats signals as one_shot.cpp does, for every running job. No more jobs are started.
    void on_signal(int number) {
        stopping_ = true;
        if (number != SIGINT) return leave(128 + number, signal_name(number));
        ++interrupts_;
        bool any_runs = false;
        for (const auto& job : jobs_) {
            if (job->run->is_finished()) continue;
            job->run->interrupt(interrupts_);
            any_runs = true;
        }
        if (!any_runs) return leave(128 + number);  // Only pending output or the next line is left.
        if (code_ == 0) code_ = 128 + SIGINT;
        if (interrupts_ == 3) leave_at_ = EventLoop::Clock::now() + kLeaveGracePeriod;
    }

    const ClientOptions& options_;
    EventLoop loop_;
    Signals signals_;
    InheritedOutput out_;
    InheritedOutput err_;
    std::optional<RemoteShell> shell_;
    std::deque<std::unique_ptr<Job>> jobs_;
    ServerConnection server_;  // Declared after the jobs: its runs use their sinks.
    LineReader lines_;
    EventLoop::Watch signal_watch_;
    std::size_t line_number_ = 0;
    int code_ = 0;
    int interrupts_ = 0;
    Time leave_at_ = EventLoop::kNever;
    bool stopping_ = false;
    bool left_ = false;
};

}  // namespace

int run_batch(const ClientOptions& options, const StandardStreams& streams) {
    return Batch(options, streams).run();
}

}  // namespace frsh
