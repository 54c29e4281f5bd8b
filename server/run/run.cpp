#include "server/run/run.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <csignal>

#include <fcntl.h>

namespace frsh {
namespace {

using std::chrono::milliseconds;

// Between TERM and KILL.
constexpr milliseconds kGrace{2000};
// How long a pipe may stay open once everything of the run has been ended.
constexpr milliseconds kAfterEnding{200};

// A terminal's master is one descriptor for both directions. Its reader and its writer each own a
// duplicate, and the terminal hangs up with the last of them.
Fd duplicate(const Fd& fd) {
    return Fd(check(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3), "dup"));
}

}  // namespace

Run::Run(const msg::Open& open)
    : channel_(open.channel),
      id_(open.run),
      started_(EventLoop::Clock::now()),
      idle_timeout_(open.idle_timeout),
      linger_(open.linger),
      on_disconnect_(open.on_disconnect) {
    if (open.timeout) wall_deadline_ = started_ + *open.timeout;
}

Run::Run(EventLoop& loop, const msg::Open& open, const LaunchContext& context) : Run(open) {
    try {
        start(loop, open, context);
    } catch (const SysError& error) {
        // No descriptors or no memory left: this run fails, the session goes on.
        fail(loop, {"fork", error.code().value(), error.what()});
    }
}

Run::Run(EventLoop& loop, const msg::Open& open, Shell& shell) : Run(open) {
    try {
        take_streams(loop, open, shell.enter(*this, open.args[0], open.stdin_null));
        shell_ = &shell;
        has_turn_ = true;
    } catch (const SysError& error) {
        fail(loop, {"shell", error.code().value(), error.what()});
    } catch (const UserError& error) {
        fail(loop, {"shell", 0, error.what()});
    }
}

Run::Run(EventLoop& loop, const msg::Open& open, NotStarted why) : Run(open) {
    fail(loop, std::move(why));
}

Run::~Run() {
    if (shell_ != nullptr) shell_->leave(*this);
}

void Run::fail(EventLoop& loop, NotStarted why) {
    not_started_ = std::move(why);
    next_ = after_next_ = nullptr;
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
    next_ = out_.get();
    after_next_ = err_.get();
}

void Run::start(EventLoop& loop, const msg::Open& open, const LaunchContext& context) {
    // Another client may have chosen the same id for its own run, on another link or server.
    origin_.marks = {run_mark(id_), context.session_mark};
    oom_kills_ = context.oom_kills;
    if (oom_kills_) oom_kills_before_ = oom_kills_->count();
    if (open.pty) {
        if (!context.may_have_pty) {
            return fail(loop, {"pty", EPERM, "this key may have no terminal"});
        }
        try {
            terminal_ = open_pty();
        } catch (const SysError& error) {
            return fail(loop, {"pty", error.code().value(), error.what()});
        }
    }
    auto planned = plan_launch(open, context, terminal_.name);
    if (auto* const refused = std::get_if<NotStarted>(&planned)) {
        return fail(loop, std::move(*refused));
    }
    auto& launch = std::get<Launch>(planned);
    std::array<Fd, 3> theirs;
    take_streams(loop, open,
                 open.pty ? make_terminal(open, launch.request, theirs)
                          : make_pipes(open, launch.request, theirs));
    auto result = spawn(launch.request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        return fail(loop, not_started(*failure, launch.request));
    }
    pid_ = origin_.program = std::get<Spawned>(result).pid;
}

// Pipes, not sockets: bash reads ~/.bashrc when its stdin is a socket, and /dev/stdout cannot be
// opened on one.
CommandStreams Run::make_pipes(const msg::Open& open, SpawnRequest& request,
                               std::array<Fd, 3>& theirs) {
    Pipe in = open.stdin_null ? Pipe{} : make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    theirs = {std::move(in.read_end), std::move(out.write_end), std::move(err.write_end)};
    request.stdio = {theirs[0].get(), theirs[1].get(), theirs[2].get()};
    return {std::move(in.write_end), std::move(out.read_end), std::move(err.read_end)};
}

CommandStreams Run::make_terminal(const msg::Open& open, SpawnRequest& request,
                                  std::array<Fd, 3>& theirs) {
    theirs[0] = std::move(terminal_.slave);
    const int slave = theirs[0].get();
    set_terminal_modes(slave, open.pty->modes);
    set_window_size(slave, open.pty->size);
    request.stdio = {open.stdin_null ? -1 : slave, slave, slave};
    request.controlling_terminal = slave;
    // One stream for both of what it prints; the other has ended before it began.
    return {open.stdin_null ? Fd() : duplicate(terminal_.master), duplicate(terminal_.master),
            Fd()};
}

void Run::hang_up() {
    if (!terminal_.master.is_open()) return;
    in_->close();
    out_->stop();
    terminal_.master.close();
}

void Run::on(const msg::Data& data) {
    if (data.stream != StreamId::Stdin) throw ProtocolError("data from a client that is not stdin");
    in_->data(data);
}

void Run::on(const msg::Eof& eof) {
    if (eof.stream != StreamId::Stdin) throw ProtocolError("the end of a stream that is not stdin");
    in_->eof(eof.offset);
}

void Run::on(const msg::Credit& credit) {
    if (credit.stream == StreamId::Stdin)
        throw ProtocolError("credit for a stream of the client's");
    const auto& output = credit.stream == StreamId::Stdout ? out_ : err_;
    if (output) output->credit(credit.consumed, credit.limit);
}

void Run::on(const msg::Stop& stop) {
    if (stop.stream == StreamId::Stdin) throw ProtocolError("a stop for a stream of the client's");
    const auto& output = stop.stream == StreamId::Stdout ? out_ : err_;
    if (output) output->stop();
    // Nobody looks at it any more; on pipes the next write would be its end.
    if (stop.stream == StreamId::Stdout) hang_up();
    check_progress(EventLoop::Clock::now());
}

void Run::on(const msg::Signal& signal) {
    const auto number = signal_number(signal.name);
    if (!number) return;  // Not one of this machine's.
    if (shell_ != nullptr) return shell_->signal(*this, *number);
    if (state_ != State::Running || pid_ <= 0) return;
    // The command leads a process group of its own: the group is what a terminal would signal.
    const pid_t group =
        terminal_.master.is_open() ? foreground_group(terminal_.master.get()) : pid_;
    ::kill(group > 0 ? -group : -pid_, *number);
}

void Run::on(const msg::Resize& resize) {
    if (terminal_.master.is_open()) set_window_size(terminal_.master.get(), resize.size);
}

void Run::on(const msg::Cancel&) {
    begin_ending(Reason::Canceled, Termination::First::Terminate, EventLoop::Clock::now());
}

void Run::disconnect(Termination::First first, Time now) {
    is_disconnected_ = true;
    if (in_) in_->close();
    if (out_) out_->discard();
    if (err_) err_->discard();
    if (state_ == State::Ended) state_ = State::Told;
    if (state_ != State::Told) begin_ending(Reason::Disconnected, first, now);
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

bool Run::is_written_down() const {
    return state_ == State::Ended && (!out_ || out_->is_delivered()) &&
           (!err_ || err_->is_delivered());
}

void Run::begin_ending(Reason reason, Termination::First first, Time now) {
    if (state_ != State::Running && state_ != State::Draining) return;
    if (reason_ != Reason::None) {
        // Asked again, while it is already being ended: no more patience.
        if (reason == Reason::Canceled && termination_) termination_->hurry(now);
        return;
    }
    reason_ = reason;
    if (pid_ == 0 && !has_turn_) {
        linger_ = kAfterEnding;  // The shell is done with it; only its streams are still open.
        return;
    }
    if (has_turn_ && shell_->withdraw(*this)) {
        has_turn_ = false;
        return drain_rest(now);
    }
    // The shell is ended, and it with it; unless that lasts.
    const bool lasts = has_turn_ && shell_->on_disconnect().kind == OnDisconnect::Kind::Keep;
    if (has_turn_ && reason == Reason::Disconnected && !lasts) return;
    if (has_turn_) {
        // The shell is to survive this, if it can be brought to end only the command.
        shell_->signal(*this, SIGINT);
        shell_deadline_ = now + kGrace;
        return;
    }
    termination_.emplace(origin_, first, kGrace, now);
    termination_->tick(now);
}

void Run::exited(const ExitStatus& status) {
    origin_.reaped = now_in_ticks();
    if (termination_) termination_->reaped(*origin_.reaped);
    if (state_ != State::Running) return;  // It was given up as a survivor, and that has been told.
    status_ = status;
    drain_rest(EventLoop::Clock::now());
}

void Run::drain_rest(Time now) {
    ended_at_ = now;
    state_ = State::Draining;
    shell_deadline_ = EventLoop::kNever;
    if (in_) in_->close();
    // What it wrote last is in the pipes by now; look before deciding anything.
    if (out_) out_->drain();
    if (err_) err_->drain();
    check_progress(ended_at_);
}

void Run::evaluation_ended(int code, const std::string& cwd) {
    cwd_ = cwd;
    ExitStatus status;
    status.code = code;
    has_turn_ = false;
    exited(status);
}

void Run::evaluation_never_began() {
    has_turn_ = false;
    not_started_ = NotStarted{"shell", 0, "the shell ended before this was its turn"};
    drain_rest(EventLoop::Clock::now());
}

void Run::shell_died(const ExitStatus& status) {
    has_turn_ = false;
    exited(status);
}

EventLoop::Time Run::idle_deadline() const {
    if (!idle_timeout_ || state_ != State::Running || reason_ != Reason::None) {
        return EventLoop::kNever;
    }
    // A command that waits for its reader is not idle.
    if (out_->is_blocked() || err_->is_blocked()) return EventLoop::kNever;
    return std::max({out_->last_activity(), err_->last_activity(), started_}) + *idle_timeout_;
}

EventLoop::Time Run::linger_deadline() const {
    if (state_ != State::Draining || out_->is_blocked() || err_->is_blocked()) {
        return EventLoop::kNever;
    }
    // Nothing it started is left: only somebody who was handed the pipe could still write.
    std::optional<milliseconds> linger = linger_;
    if (termination_) linger = std::min(linger.value_or(kAfterEnding), kAfterEnding);
    if (!linger || (termination_ && !termination_->is_done())) return EventLoop::kNever;
    return std::max({out_->last_activity(), err_->last_activity(), ended_at_}) + *linger;
}

EventLoop::Time Run::next_deadline() const {
    Time next = std::min(idle_deadline(), linger_deadline());
    if (wall_deadline_ && reason_ == Reason::None &&
        (state_ == State::Running || state_ == State::Draining)) {
        next = std::min(next, *wall_deadline_);
    }
    if (termination_) next = std::min(next, termination_->next_deadline());
    return std::min(next, shell_deadline_);
}

void Run::tick(Time now) {
    if (termination_) termination_->tick(now);
    if (now >= shell_deadline_) {
        shell_deadline_ = EventLoop::kNever;
        if (shell_ != nullptr && has_turn_) shell_->end(Termination::First::Terminate, now);
    }
    if (state_ == State::Running || state_ == State::Draining) {
        if (wall_deadline_ && now >= *wall_deadline_) {
            begin_ending(Reason::Wall, Termination::First::Terminate, now);
        }
        if (now >= idle_deadline()) begin_ending(Reason::Idle, Termination::First::Terminate, now);
    }
    check_progress(now);
}

void Run::check_progress(Time now) {
    if (termination_ && !termination_->is_done()) return;
    if (state_ == State::Running && termination_ && !termination_->survivors().empty())
        return end(now);
    if (state_ != State::Draining) return;
    const bool saw_both_ends = !out_->is_open() && !err_->is_open();
    if (saw_both_ends || is_disconnected_ || now >= linger_deadline()) end(now);
}

Outcome Run::outcome() const {
    if (not_started_) return *not_started_;
    std::optional<RealEnd> real;
    if (status_) real = real_end(*status_);
    switch (reason_) {
        case Reason::Wall:
            return TimedOut{"wall", real};
        case Reason::Idle:
            return TimedOut{"idle", real};
        case Reason::Canceled:
            return Canceled{real};
        case Reason::None:
        case Reason::Disconnected:
            break;
    }
    if (!real) return Lost{"the command could not be ended"};
    return as_outcome(*real);
}

std::vector<ProcessName> Run::find_holders() const {
    std::vector<ProcessName> holders;
    for (const OutputReader* const output : {out_.get(), err_.get()}) {
        if (output == nullptr || !output->is_open()) continue;
        const std::string held =
            terminal_.name.empty() ? descriptor_name(output->pipe()) : terminal_.name;
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
    if (!status_ || status_->pid == 0) return std::nullopt;
    const std::chrono::duration<double> wall = now - started_;
    Usage usage{wall.count(), status_->user_seconds, status_->system_seconds, status_->max_rss_kib};
    const auto oom_kills = oom_kills_before_ ? oom_kills_->count() : std::nullopt;
    if (oom_kills && *oom_kills > *oom_kills_before_) {
        usage.oom_kills = *oom_kills - *oom_kills_before_;
    }
    return usage;
}

void Run::end(Time now) {
    msg::End record;
    record.channel = channel_;
    record.run = id_;
    record.outcome = outcome();
    if (out_ && err_) {
        record.holders = find_holders();
        for (OutputReader* const output : {out_.get(), err_.get()}) {
            Fd pipe = output->close();
            if (shell_ != nullptr && pipe.is_open()) shell_->keep_reading(std::move(pipe));
        }
        record.out = out_->summary();
        record.err = err_->summary();
    } else {
        record.out.eof = record.err.eof = true;  // No program ran, so nothing is missing.
    }
    terminal_ = {};
    if (termination_) {
        for (const ProcessInfo& process : termination_->survivors()) {
            record.survivors.push_back({process.pid, process.name});
        }
    }
    record.cwd = cwd_;
    record.usage = usage(now);
    record_ = std::move(record);
    state_ = is_disconnected_ ? State::Told : State::Ended;
}

bool Run::is_over() const {
    return state_ == State::Told && is_disconnected_ && (!termination_ || termination_->is_done());
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
    // In turn, so that a flood on one never holds up the other.
    std::swap(next_, after_next_);
    for (OutputReader* const output : {next_, after_next_}) {
        if (output == nullptr || !output->has_output()) continue;
        output->put_chunk(out, channel_, most, started_);
        return;
    }
    const bool is_delivered = (!out_ || out_->is_delivered()) && (!err_ || err_->is_delivered());
    if (state_ != State::Ended || !is_delivered) return;
    encode(out, *record_);
    state_ = State::Told;
}

}  // namespace frsh
