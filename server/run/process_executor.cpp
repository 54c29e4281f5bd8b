#include "server/run/process_executor.hpp"

#include "common/base/error.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <utility>

#include <fcntl.h>

namespace frsh {
namespace {

// Between TERM and KILL when a command is ended.
constexpr std::chrono::milliseconds kCommandTerminationGrace{2000};

// Returns a duplicate, since a terminal's master is one descriptor for both directions and its
// reader and its writer each own one. The terminal hangs up when the last of them is closed.
Fd duplicate(const Fd& fd) {
    return Fd(check(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3), "dup"));
}

// Makes the command's streams, and puts the command's own ends into `command_ends`. They are pipes
// and not sockets: bash reads ~/.bashrc if its stdin is a socket, and /dev/stdout cannot be opened
// on one.
CommandStreams make_pipes(const msg::Open& open, SpawnRequest& request,
                          std::array<Fd, 3>& command_ends) {
    Pipe in = open.stdin_null ? Pipe{} : make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    command_ends = {std::move(in.read_end), std::move(out.write_end), std::move(err.write_end)};
    request.stdio = {command_ends[0].get(), command_ends[1].get(), command_ends[2].get()};
    return {std::move(in.write_end), std::move(out.read_end), std::move(err.read_end)};
}

CommandStreams make_terminal(Pty& terminal, const msg::Open& open, SpawnRequest& request,
                             std::array<Fd, 3>& command_ends) {
    command_ends[0] = std::move(terminal.slave);
    const int slave = command_ends[0].get();
    set_terminal_modes(slave, open.pty->modes);
    set_window_size(slave, open.pty->size);
    request.stdio = {open.stdin_null ? -1 : slave, slave, slave};
    request.controlling_terminal = slave;
    // A terminal has one output for stdout and stderr, so the stream for stderr is empty.
    return {open.stdin_null ? Fd() : duplicate(terminal.master), duplicate(terminal.master), Fd()};
}

}  // namespace

// A client may use the same id for a run on another connection, so both marks are needed.
ProcessExecutor::ProcessExecutor(Owner& owner, const msg::Open& open, const LaunchContext& context)
    : owner_(owner),
      origin_{0, {run_mark(open.run), context.session_mark}},
      oom_kills_(context.oom_kills) {
    if (oom_kills_) oom_kills_before_ = oom_kills_->count();
}

std::variant<ProcessExecutor::Started, NotStarted> ProcessExecutor::start(
    Owner& owner, const msg::Open& open, const LaunchContext& context) {
    std::unique_ptr<ProcessExecutor> executor(new ProcessExecutor(owner, open, context));
    auto streams = executor->spawn_command(open, context);
    if (auto* const why = std::get_if<NotStarted>(&streams)) return std::move(*why);
    return Started{std::move(executor), std::move(std::get<CommandStreams>(streams))};
}

std::variant<CommandStreams, NotStarted> ProcessExecutor::spawn_command(
    const msg::Open& open, const LaunchContext& context) {
    if (open.pty) {
        if (!context.may_have_pty) return NotStarted{"pty", EPERM, "this key may have no terminal"};
        try {
            terminal_ = open_pty();
        } catch (const SysError& error) {
            return NotStarted{"pty", error.code().value(), error.what()};
        }
    }
    auto planned = plan_launch(open, context, terminal_.name);
    if (auto* const refused = std::get_if<NotStarted>(&planned)) return std::move(*refused);
    auto& launch = std::get<Launch>(planned);
    std::array<Fd, 3> command_ends;
    CommandStreams streams = open.pty ? make_terminal(terminal_, open, launch.request, command_ends)
                                      : make_pipes(open, launch.request, command_ends);
    auto result = spawn(launch.request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        return not_started(*failure, launch.request);
    }
    origin_.program = std::get<Spawned>(result).pid;
    return streams;
}

void ProcessExecutor::exited(const ExitStatus& status) {
    origin_.reaped = now_in_ticks();
    if (termination_) termination_->reaped(*origin_.reaped);
    owner_.command_ended(status);
}

void ProcessExecutor::signal(int number) {
    if (origin_.reaped) return;
    // The command leads a process group of its own. A terminal signals its foreground group.
    const pid_t group =
        terminal_.master.is_open() ? foreground_group(terminal_.master.get()) : pid();
    ::kill(group > 0 ? -group : -pid(), number);
}

void ProcessExecutor::resize(const WindowSize& size) {
    if (terminal_.master.is_open()) set_window_size(terminal_.master.get(), size);
}

bool ProcessExecutor::hang_up() {
    if (!terminal_.master.is_open()) return false;
    terminal_.master.close();
    return true;
}

Executor::Ending ProcessExecutor::end(EndReason, Termination::First first, Time now, Fd input) {
    // A terminal sends no end of file here. It hangs up at release(), with its last descriptor.
    if (!terminal_.master.is_open()) held_input_ = std::move(input);
    termination_.emplace(origin_, first, kCommandTerminationGrace, now);
    termination_->tick(now);
    return Ending::Begun;
}

void ProcessExecutor::hurry(Time now) {
    if (termination_) termination_->hurry(now);
}

void ProcessExecutor::tick(Time now) {
    if (termination_) termination_->tick(now);
}

EventLoop::Time ProcessExecutor::next_deadline() const {
    return termination_ ? termination_->next_deadline() : EventLoop::kNever;
}

std::optional<std::uint64_t> ProcessExecutor::oom_kills() const {
    const auto now = oom_kills_before_ ? oom_kills_->count() : std::nullopt;
    if (!now || *now <= *oom_kills_before_) return std::nullopt;
    return *now - *oom_kills_before_;
}

}  // namespace frsh
