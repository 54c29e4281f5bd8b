#include "server/run/run.hpp"

#include "common/base/error.hpp"
#include "common/sys/signals.hpp"
#include "server/run/process_executor.hpp"
#include "server/run/shell_executor.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

namespace frsh {
namespace {

using std::chrono::milliseconds;

// How long a pipe may stay open once all processes of the run have been ended.
constexpr milliseconds kLingerAfterEnding{200};
// Replaces an endless linger once the client has sent a signal that ends most programs.
constexpr milliseconds kLingerAfterInterrupt{2000};

}  // namespace

Run::Run(const msg::Open& open)
    : channel_(open.channel),
      id_(open.run),
      on_disconnect_(open.on_disconnect),
      started_(EventLoop::Clock::now()),
      limits_{std::nullopt, open.idle_timeout, open.linger} {
    if (open.timeout) limits_.wall_deadline = started_ + *open.timeout;
}

Run::Run(EventLoop& loop, const msg::Open& open, const LaunchContext& context) : Run(open) {
    try {
        auto started = ProcessExecutor::start(*this, open, context);
        if (auto* const why = std::get_if<NotStarted>(&started)) {
            fail(loop, std::move(*why));
            return;
        }
        auto& [executor, streams] = std::get<ProcessExecutor::Started>(started);
        executor_ = std::move(executor);
        take_streams(loop, open, std::move(streams));
    } catch (const SysError& error) {
        // There are no descriptors or no memory left: this run fails, and the session goes on.
        fail(loop, {"fork", error.code().value(), error.what()});
    }
}

Run::Run(EventLoop& loop, const msg::Open& open, Shell& shell) : Run(open) {
    try {
        Executor::Owner& owner = *this;
        auto executor = std::make_unique<ShellExecutor>(owner, shell);
        take_streams(loop, open, executor->enter(open));
        if (open.pty) executor->begin_on_terminal(*out_, in_->typing());
        executor_ = std::move(executor);
    } catch (const SysError& error) {
        fail(loop, {"shell", error.code().value(), error.what()});
    } catch (const UserError& error) {
        fail(loop, {"shell", 0, error.what()});
    }
}

Run::Run(EventLoop& loop, const msg::Open& open, NotStarted why) : Run(open) {
    fail(loop, std::move(why));
}

void Run::fail(EventLoop& loop, NotStarted why) {
    result_ = std::move(why);
    out_.reset();
    err_.reset();
    in_ = std::make_unique<StdinWriter>(loop, Fd());
    end(started_);
}

void Run::take_streams(EventLoop& loop, const msg::Open& open, CommandStreams streams) {
    const auto changed = [this] { check_progress(EventLoop::Clock::now()); };
    out_ = std::make_unique<OutputReader>(loop, StreamId::Stdout, std::move(streams.out),
                                          open.max_output, changed,
                                          open.pty ? kTerminalWindow : kWindow);
    err_ = std::make_unique<OutputReader>(loop, StreamId::Stderr, std::move(streams.err),
                                          open.max_output, changed);
    in_ = std::make_unique<StdinWriter>(
        loop, std::move(streams.in),
        open.pty ? StdinWriter::Kind::Terminal : StdinWriter::Kind::Pipe);
}

void Run::hang_up() {
    if (!executor_ || !executor_->hang_up()) return;
    in_->close();
    out_->stop();
}

void Run::on(const msg::Data& data) {
    if (data.stream != StreamId::Stdin)
        throw ProtocolError("data from the client for a stream other than stdin");
    in_->data(data);
}

void Run::on(const msg::Eof& eof) {
    if (eof.stream != StreamId::Stdin)
        throw ProtocolError("eof from the client for a stream other than stdin");
    in_->eof(eof.offset);
}

void Run::on(const msg::Credit& credit) {
    if (credit.stream == StreamId::Stdin) throw ProtocolError("credit from the client for stdin");
    const auto& output = credit.stream == StreamId::Stdout ? out_ : err_;
    if (output) output->credit(credit.consumed, credit.limit);
}

void Run::on(const msg::Stop& stop) {
    if (stop.stream == StreamId::Stdin) throw ProtocolError("stop from the client for stdin");
    const auto& output = stop.stream == StreamId::Stdout ? out_ : err_;
    if (output) output->stop();
    // The client shows the terminal no more. On pipes, the command's next write gets SIGPIPE.
    if (stop.stream == StreamId::Stdout) hang_up();
    check_progress(EventLoop::Clock::now());
}

void Run::on(const msg::Signal& signal) {
    const auto number = signal_number(signal.name);
    if (!number) return;  // This machine may not have that signal.
    // The user wants the prompt back. A process that ignores the signal may hold the output open.
    constexpr std::array kInterrupts = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL};
    const bool is_interrupt =
        std::find(kInterrupts.begin(), kInterrupts.end(), *number) != kInterrupts.end();
    if (is_interrupt && !limits_.linger) limits_.linger = kLingerAfterInterrupt;
    if (state_ != State::Running) return check_progress(EventLoop::Clock::now());
    executor_->signal(*number);
}

void Run::on(const msg::Resize& resize) {
    if (executor_) executor_->resize(resize.size);
}

void Run::on(const msg::Cancel&) {
    begin_ending(EndReason::Canceled, Termination::First::Terminate, EventLoop::Clock::now());
}

void Run::disconnect(Termination::First first, Time now) {
    is_disconnected_ = true;
    if (out_) out_->discard();
    if (err_) err_->discard();
    if (state_ == State::Ended) state_ = State::Told;
    if (state_ != State::Told) begin_ending(EndReason::Disconnected, first, now);
    check_progress(now);
}

Offset Run::resume(const msg::Resume::Point& point) {
    if (out_) out_->resume(point.out);
    if (err_) err_->resume(point.err);
    if (state_ == State::Told) state_ = State::Ended;
    return in_->resume();
}

bool Run::write_down(OutputConsumer& out, OutputConsumer& err) {
    const bool any_out = out_ && out_->write_down(out, started_);
    const bool any_err = err_ && err_->write_down(err, started_);
    return any_out || any_err;
}

bool Run::is_output_delivered() const {
    return (!out_ || out_->is_delivered()) && (!err_ || err_->is_delivered());
}

bool Run::is_written_down() const {
    return state_ == State::Ended && is_output_delivered();
}

void Run::begin_ending(EndReason reason, Termination::First first, Time now) {
    if (has_ended()) return;
    if (reason_ != EndReason::None) {
        // A cancel while the run is already being ended cuts the grace period short.
        if (reason == EndReason::Canceled) executor_->hurry(now);
        return;
    }
    reason_ = reason;
    // The input is not complete, so the command must not see its end.
    switch (executor_->end(reason, first, now, in_->release())) {
        case Executor::Ending::Begun:
            break;
        case Executor::Ending::NeverBegan:
            drain_rest(now);
            break;
        case Executor::Ending::AlreadyEnded:
            limits_.linger = kLingerAfterEnding;
            break;
    }
}

void Run::exited(const ExitStatus& status) {
    executor_->exited(status);
}

void Run::command_ended(const ExitStatus& status) {
    if (state_ != State::Running) return;  // The record has already named it as a survivor.
    result_ = status;
    drain_rest(EventLoop::Clock::now());
}

void Run::command_never_began(NotStarted why) {
    result_ = std::move(why);
    drain_rest(EventLoop::Clock::now());
}

// The command is over: sends what is still in its pipes, then the record.
void Run::drain_rest(Time now) {
    ended_at_ = now;
    state_ = State::Draining;
    const bool is_borrowed = executor_ && executor_->has_borrowed_terminal();
    if (is_borrowed) unread_ = executor_->take_unread();
    if (in_) in_->close();
    // What the command wrote last is in the pipes by now. Read it before any decision.
    if (out_) is_borrowed ? out_->finish_when_empty() : out_->drain();
    if (err_) err_->drain();
    check_progress(ended_at_);
}

const Termination* Run::termination() const {
    return executor_ ? executor_->termination() : nullptr;
}

EventLoop::Time Run::idle_deadline() const {
    if (!limits_.idle_timeout || state_ != State::Running || reason_ != EndReason::None) {
        return EventLoop::kNever;
    }
    // A command that waits for its reader is not idle.
    if (out_->is_blocked() || err_->is_blocked()) return EventLoop::kNever;
    return std::max({out_->last_activity(), err_->last_activity(), started_}) +
           *limits_.idle_timeout;
}

EventLoop::Time Run::linger_deadline() const {
    if (state_ != State::Draining || out_->is_blocked() || err_->is_blocked()) {
        return EventLoop::kNever;
    }
    std::optional<milliseconds> linger = limits_.linger;
    if (const Termination* const ending = termination()) {
        if (!ending->is_done()) return EventLoop::kNever;
        // No process of the run is left. Only a process that got the pipe from one could write.
        linger = std::min(linger.value_or(kLingerAfterEnding), kLingerAfterEnding);
    }
    if (!linger) return EventLoop::kNever;
    return std::max({out_->last_activity(), err_->last_activity(), ended_at_}) + *linger;
}

EventLoop::Time Run::next_deadline() const {
    Time next = std::min(idle_deadline(), linger_deadline());
    if (limits_.wall_deadline && reason_ == EndReason::None && !has_ended()) {
        next = std::min(next, *limits_.wall_deadline);
    }
    return executor_ ? std::min(next, executor_->next_deadline()) : next;
}

void Run::tick(Time now) {
    if (executor_) executor_->tick(now);
    if (!has_ended()) {
        if (limits_.wall_deadline && now >= *limits_.wall_deadline) {
            begin_ending(EndReason::WallTimeout, Termination::First::Terminate, now);
        }
        if (now >= idle_deadline()) {
            begin_ending(EndReason::IdleTimeout, Termination::First::Terminate, now);
        }
    }
    check_progress(now);
}

void Run::check_progress(Time now) {
    const Termination* const ending = termination();
    if (ending != nullptr && !ending->is_done()) return;
    if (state_ == State::Running && ending != nullptr && !ending->survivors().empty()) {
        return end(now);
    }
    if (state_ != State::Draining) return;
    const bool saw_both_ends = !out_->is_open() && !err_->is_open();
    if (saw_both_ends || is_disconnected_ || now >= linger_deadline()) end(now);
}

Outcome Run::outcome() const {
    if (const auto* const why = std::get_if<NotStarted>(&result_)) return *why;
    std::optional<RealEnd> real;
    if (const auto* const status = std::get_if<ExitStatus>(&result_)) real = real_end(*status);
    switch (reason_) {
        case EndReason::WallTimeout:
            return TimedOut{"wall", real};
        case EndReason::IdleTimeout:
            return TimedOut{"idle", real};
        case EndReason::Canceled:
            return Canceled{real};
        case EndReason::None:
        case EndReason::Disconnected:
            break;
    }
    if (!real) return Lost{"the command could not be ended"};
    return as_outcome(*real);
}

std::vector<ProcessName> Run::find_holders() const {
    const std::string terminal = executor_->terminal_name();
    std::vector<ProcessName> holders;
    for (const OutputReader* const output : {out_.get(), err_.get()}) {
        if (!output->is_open()) continue;
        const std::string held = terminal.empty() ? descriptor_name(output->pipe()) : terminal;
        for (const ProcessInfo& process : holders_of(held)) {
            const ProcessName name{process.pid, process.name};
            if (std::find(holders.begin(), holders.end(), name) == holders.end()) {
                holders.push_back(name);
            }
        }
    }
    return holders;
}

std::optional<Usage> Run::usage(Time now) const {
    const auto* const status = std::get_if<ExitStatus>(&result_);
    if (status == nullptr || status->pid == 0) return std::nullopt;
    const std::chrono::duration<double> wall = now - started_;
    Usage usage{wall.count(), status->user_seconds, status->system_seconds, status->max_rss_kib};
    if (const auto oom_kills = executor_->oom_kills()) usage.oom_kills = *oom_kills;
    return usage;
}

void Run::end(Time now) {
    msg::End record;
    record.channel = channel_;
    record.run = id_;
    record.outcome = outcome();
    if (out_ && err_) {
        record.holders = find_holders();
        const bool is_held = out_->is_open() || err_->is_open();
        record.is_unseen = is_held && process_sight() != Sight::All;
        for (OutputReader* const output : {out_.get(), err_.get()}) {
            Fd pipe = output->close();
            if (pipe.is_open()) executor_->take_leftover(std::move(pipe));
        }
        record.out = out_->summary();
        record.err = err_->summary();
    } else {
        record.out.eof = record.err.eof = true;  // No program ran, so nothing is missing.
    }
    if (const Termination* const ending = termination()) {
        record.is_unseen |= ending->may_have_missed();
        for (const ProcessInfo& process : ending->survivors()) {
            record.survivors.push_back({process.pid, process.name});
        }
    }
    if (executor_) {
        executor_->release();
        record.cwd = executor_->cwd();
    }
    record.usage = usage(now);
    if (unread_ && !in_->typing().may_be_secret()) {
        record.typed = in_->taken();
        record.unread = *unread_;
    }
    record.generation = generation_;
    record_ = std::move(record);
    state_ = is_disconnected_ ? State::Told : State::Ended;
}

bool Run::is_over() const {
    const Termination* const ending = termination();
    return state_ == State::Told && is_disconnected_ && (ending == nullptr || ending->is_done());
}

bool Run::has_output() const {
    if (in_ && in_->has_control()) return true;
    if ((out_ && out_->has_output()) || (err_ && err_->has_output())) return true;
    return is_written_down();
}

void Run::put_control(std::string& out) {
    if (in_) in_->put_control(out, channel_);
}

void Run::put_chunk(std::string& out, std::size_t most) {
    // The streams take turns, so that a flood on one does not hold up the other.
    const bool is_err_first = first_to_send_ == StreamId::Stdout;
    first_to_send_ = is_err_first ? StreamId::Stderr : StreamId::Stdout;
    OutputReader* const first = is_err_first ? err_.get() : out_.get();
    OutputReader* const second = is_err_first ? out_.get() : err_.get();
    for (OutputReader* const output : {first, second}) {
        if (output == nullptr || !output->has_output()) continue;
        output->put_chunk(out, channel_, most, started_);
        return;
    }
    if (!is_written_down()) return;
    encode(out, *record_);
    state_ = State::Told;
}

}  // namespace frsh
