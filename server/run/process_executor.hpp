// ProcessExecutor runs the command of a run as a process of its own, on pipes or on a terminal.
#pragma once

#include "common/sys/oom_kills.hpp"
#include "common/sys/pty.hpp"
#include "server/run/command_streams.hpp"
#include "server/run/executor.hpp"
#include "server/run/launch.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace frsh {

class ProcessExecutor : public Executor {
  public:
    struct Started {
        std::unique_ptr<ProcessExecutor> executor;
        CommandStreams streams;
    };
    // Starts the command, or returns why it cannot be started. `owner` is lent. Throws SysError if
    // there are no descriptors or processes left.
    [[nodiscard]] static std::variant<Started, NotStarted> start(Owner& owner,
                                                                 const msg::Open& open,
                                                                 const LaunchContext& context);

    [[nodiscard]] pid_t pid() const override { return origin_.program; }
    [[nodiscard]] bool awaits(pid_t pid) const override {
        return origin_.program == pid && !origin_.reaped;
    }
    void exited(const ExitStatus& status) override;
    void signal(int number) override;
    void resize(const WindowSize& size) override;
    bool hang_up() override;
    Ending end(EndReason reason, Termination::First first, Time now, Fd input) override;
    void hurry(Time now) override;
    [[nodiscard]] const Termination* termination() const override {
        return termination_ ? &*termination_ : nullptr;
    }
    void tick(Time now) override;
    [[nodiscard]] Time next_deadline() const override;
    void release() override { terminal_ = {}; }
    [[nodiscard]] std::string terminal_name() const override { return terminal_.name; }
    [[nodiscard]] std::optional<std::uint64_t> oom_kills() const override;

  private:
    ProcessExecutor(Owner& owner, const msg::Open& open, const LaunchContext& context);
    [[nodiscard]] std::variant<CommandStreams, NotStarted> spawn_command(
        const msg::Open& open, const LaunchContext& context);

    Owner& owner_;
    ProcessOrigin origin_;
    std::shared_ptr<const OomKills> oom_kills_;  // May be null.
    std::optional<std::uint64_t> oom_kills_before_;
    Pty terminal_;  // The master; both streams own a duplicate of it. Not open on pipes.
    std::optional<Termination> termination_;
    Fd held_input_;  // Open from end() until this is destroyed.
};

}  // namespace frsh
