#include "server/run/shell_executor.hpp"

#include <chrono>
#include <csignal>
#include <utility>

namespace frsh {
namespace {

// How long an interrupted command may take before its shell is ended with it.
constexpr std::chrono::milliseconds kInterruptGrace{2000};

}  // namespace

ShellExecutor::~ShellExecutor() {
    release();
    if (shell_ != nullptr) shell_->leave(*this);
}

CommandStreams ShellExecutor::enter(const msg::Open& open) {
    const std::string& command = open.args[0];
    CommandStreams streams = open.pty ? shell_->enter_on_terminal(*this, command, open.pty->size)
                                      : shell_->enter(*this, command, open.stdin_null);
    state_ = State::InShell;
    is_on_terminal_ = open.pty.has_value();
    return streams;
}

void ShellExecutor::begin_on_terminal(OutputReader& out, Typing& typing) {
    out.begin_with(shell_->terminal()->take_held());
    typing.on_interrupt([this] { interrupt_typed(); });
}

void ShellExecutor::resize(const WindowSize& size) {
    if (!is_on_terminal_ || shell_ == nullptr || shell_->terminal() == nullptr) return;
    shell_->terminal()->resize(size);
}

std::string ShellExecutor::take_unread() {
    if (!is_on_terminal_ || shell_ == nullptr || shell_->terminal() == nullptr) return "";
    return shell_->terminal()->take_unread();
}

void ShellExecutor::release() {
    if (!std::exchange(is_on_terminal_, false)) return;
    if (shell_ != nullptr && shell_->terminal() != nullptr) shell_->terminal()->give_back();
}

void ShellExecutor::signal(int number) {
    if (shell_ != nullptr) shell_->signal(*this, number);
}

Executor::Ending ShellExecutor::end(EndReason reason, Termination::First, Time now, Fd input) {
    if (state_ == State::Over) return Ending::AlreadyEnded;
    if (shell_->withdraw(*this)) {
        become_over();
        return Ending::NeverBegan;
    }
    held_input_ = std::move(input);
    // After a disconnect, the session ends the shell and so this command, unless the shell is kept.
    const bool is_shell_kept = shell_->on_disconnect().kind == OnDisconnect::Kind::Keep;
    if (reason == EndReason::Disconnected && !is_shell_kept) return Ending::Begun;
    // The shell survives if the interrupt ends the command.
    shell_->signal(*this, SIGINT);
    interrupt_deadline_ = now + kInterruptGrace;
    return Ending::Begun;
}

void ShellExecutor::tick(Time now) {
    if (now < interrupt_deadline_) return;
    interrupt_deadline_ = EventLoop::kNever;
    if (shell_ != nullptr && state_ == State::InShell) {
        shell_->end(Termination::First::Terminate, now);
    }
}

void ShellExecutor::take_leftover(Fd pipe) {
    if (shell_ != nullptr) shell_->keep_reading(std::move(pipe));
}

void ShellExecutor::become_over() {
    state_ = State::Over;
    interrupt_deadline_ = EventLoop::kNever;
}

void ShellExecutor::evaluation_ended(int code, const std::string& cwd) {
    become_over();
    held_input_.close();
    cwd_ = cwd;
    ExitStatus status;
    status.code = code;
    owner_.command_ended(status);
}

void ShellExecutor::shell_died(const ExitStatus& status) {
    become_over();
    if (held_input_.is_open()) shell_->hold_open(std::move(held_input_));
    owner_.command_ended(status);
}

void ShellExecutor::evaluation_never_began() {
    become_over();
    owner_.command_never_began({"shell", 0, "the shell ended before this command's turn"});
}

}  // namespace frsh
