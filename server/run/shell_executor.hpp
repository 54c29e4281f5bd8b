// ShellExecutor runs the command of a run in a shell, which evaluates it when its turn comes.
//
//     state      leaves it when                                     for
//     InShell    the command ends, is withdrawn, or the shell ends  Over
//     Over       (nothing more happens)
#pragma once

#include "server/run/command_streams.hpp"
#include "server/run/executor.hpp"
#include "server/run/output_reader.hpp"
#include "server/run/shell.hpp"
#include "server/run/typing.hpp"

#include <optional>
#include <string>

namespace frsh {

class ShellExecutor : public Executor, private Evaluation {
  public:
    // `owner` and `shell` are lent; the shell until this or the shell is destroyed.
    ShellExecutor(Owner& owner, Shell& shell) : owner_(owner), shell_(&shell) {}
    ~ShellExecutor() override;
    ShellExecutor(const ShellExecutor&) = delete;
    ShellExecutor& operator=(const ShellExecutor&) = delete;

    // Gives the command to the shell. Throws SysError or UserError, see Shell::enter().
    [[nodiscard]] CommandStreams enter(const msg::Open& open);
    // After enter() with a terminal: shows what was printed there before, and follows the keys.
    void begin_on_terminal(OutputReader& out, Typing& typing);
    // The terminal is about to send SIGINT to its foreground.
    void interrupt_typed() {
        if (shell_ != nullptr) shell_->interrupt_typed();
    }

    void signal(int number) override;
    Ending end(EndReason reason, Termination::First first, Time now, Fd input) override;
    void resize(const WindowSize& size) override;
    [[nodiscard]] bool has_borrowed_terminal() const override { return is_on_terminal_; }
    [[nodiscard]] std::string take_unread() override;
    void tick(Time now) override;
    [[nodiscard]] Time next_deadline() const override { return interrupt_deadline_; }
    void take_leftover(Fd pipe) override;
    void release() override;
    [[nodiscard]] std::optional<std::string> cwd() const override { return cwd_; }

  private:
    enum class State { InShell, Over };

    void evaluation_ended(int code, const std::string& cwd) override;
    void shell_died(const ExitStatus& status) override;
    void evaluation_never_began() override;
    void shell_gone() override { shell_ = nullptr; }
    void become_over();

    Owner& owner_;
    Shell* shell_;  // Null once the shell is gone.
    State state_ = State::Over;
    bool is_on_terminal_ = false;
    Time interrupt_deadline_ = EventLoop::kNever;  // If the command has not ended, the shell is.
    std::optional<std::string> cwd_;
    Fd held_input_;  // Open from end() until the command ends, or the shell that it ended.
};

}  // namespace frsh
