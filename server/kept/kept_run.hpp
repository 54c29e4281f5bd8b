// A run that is kept, while it lives: what it writes goes to its journal, and whoever follows it
// reads there (follower.hpp). So none of them can hold up another, or the command.
#pragma once

#include "server/kept/kept_job.hpp"
#include "server/run/run.hpp"

namespace frsh {

class JournalChannel;

class KeptRun : public KeptJob {
  public:
    // Starts the command. `cap`: the most bytes on disk of each stream.
    KeptRun(EventLoop& loop, const msg::Open& open, const LaunchContext& context,
            std::unique_ptr<RunFolder> folder, std::uint64_t cap);

    [[nodiscard]] Run& run() { return run_; }

    // Whoever asked for the run last: he gives it its stdin, and if he goes what he asked for
    // happens. The one before is told so by not being this any more.
    void set_holder(const JournalChannel& journal_channel, const OnDisconnect& wish);
    [[nodiscard]] bool is_held_by(const JournalChannel& journal_channel) const {
        return holder_ == &journal_channel;
    }
    [[nodiscard]] const OnDisconnect& wish() const { return wish_; }
    // He has gone.
    void abandon(const JournalChannel& journal_channel, Termination::First first, Time now);

    [[nodiscard]] KeptRun* as_run() override { return this; }
    [[nodiscard]] pid_t pid() const override { return run_.pid(); }
    void on(const msg::Signal& signal) override { run_.on(signal); }
    void on(const msg::Cancel& cancel) override { run_.on(cancel); }
    void end_all(Termination::First first, Time now) override { run_.end_all(first, now); }
    void write_down() override;
    [[nodiscard]] bool awaits(pid_t pid) const override { return run_.awaits(pid); }
    void exited(const ExitStatus& status) override { run_.exited(status); }
    void tick(Time now) override { run_.tick(now); }
    [[nodiscard]] Time next_deadline() const override { return run_.next_deadline(); }

  private:
    Run run_;
    JournalWriter out_;
    JournalWriter err_;
    OnDisconnect wish_;
    const JournalChannel* holder_ = nullptr;
};

}  // namespace frsh
