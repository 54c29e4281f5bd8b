// KeptShell is a shell with a name. It belongs to no connection: each client of the user can run
// commands in it, one after another.
#pragma once

#include "server/kept/kept_job.hpp"
#include "server/run/shell.hpp"

#include <cstdint>
#include <memory>

namespace frsh {

class KeptShell : public KeptJob {
  public:
    // Starts the shell. `open` is the first request for it, and determines its folder and
    // environment. Throws SysError or UserError if the shell cannot be started.
    KeptShell(EventLoop& loop, const msg::Open& open, const LaunchContext& context,
              std::unique_ptr<RunFolder> folder, std::uint64_t generation);

    [[nodiscard]] Shell& shell() { return shell_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

    [[nodiscard]] KeptShell* as_shell() override { return this; }
    [[nodiscard]] pid_t pid() const override { return shell_.pid(); }
    // Ignores signals: each command in the shell is a run of its own and gets its signals itself.
    void on(const msg::Signal&) override {}
    void on(const msg::Cancel& cancel) override;
    void end_all(Termination::First first, Time now) override { shell_.end(first, now); }
    void write_down() override;
    [[nodiscard]] bool awaits(pid_t pid) const override { return shell_.awaits(pid); }
    void exited(const ExitStatus& status) override { shell_.exited(status); }
    void tick(Time now) override { shell_.tick(now); }
    [[nodiscard]] Time next_deadline() const override { return shell_.next_deadline(); }

  private:
    Shell shell_;
    std::uint64_t generation_;
    bool is_canceled_ = false;
};

}  // namespace frsh
