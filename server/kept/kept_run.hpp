// KeptRun is a kept run while it lives. Its output goes to its journal, and each follower reads the
// journal (journal_channel.hpp). So no follower can hold up another one, or the command, before the
// journal has reached its cap.
#pragma once

#include "server/kept/kept_job.hpp"
#include "server/run/run.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>

namespace frsh {

class JournalChannel;

class KeptRun : public KeptJob {
  public:
    // Starts the command. `cap`: the most bytes on disk of each stream.
    KeptRun(EventLoop& loop, const msg::Open& open, const LaunchContext& context,
            std::unique_ptr<RunFolder> folder, std::uint64_t cap);

    [[nodiscard]] Run& run() { return run_; }

    // Makes the channel the holder: the channel that requested the run last. The holder supplies
    // stdin. If the holder is lost, `wish` decides what happens to the run.
    void set_holder(const JournalChannel& journal_channel, const OnDisconnect& wish);
    [[nodiscard]] bool is_held_by(const JournalChannel& journal_channel) const {
        return holder_ == &journal_channel;
    }
    [[nodiscard]] const OnDisconnect& wish() const { return wish_; }
    // Does what the holder wished for its loss. Does nothing if the channel is not the holder.
    void abandon(const JournalChannel& journal_channel, Termination::First first, Time now);

    // A follower is a client that is connected, or may still come back: the journal keeps what it
    // has not read, and the command waits instead. Each is lent until it is removed.
    void add_follower(const JournalChannel& follower) { followers_.insert(&follower); }
    void remove_follower(const JournalChannel& follower) { followers_.erase(&follower); }

    [[nodiscard]] KeptRun* as_run() override { return this; }
    [[nodiscard]] pid_t pid() const override { return run_.pid(); }
    void on(const msg::Signal& signal) override { run_.on(signal); }
    void on(const msg::Cancel& cancel) override { run_.on(cancel); }
    void end_all(Termination::First first, Time now) override { run_.end_all(first, now); }
    void write_down() override;
    [[nodiscard]] bool awaits(pid_t pid) const override { return run_.awaits(pid); }
    void exited(const ExitStatus& status) override { run_.exited(status); }
    void tick(Time now) override { run_.tick(now); }
    [[nodiscard]] Time next_deadline() const override;

  private:
    // Returns the first offset that a follower still needs; nothing if no follower needs any.
    [[nodiscard]] std::optional<Offset> needed_from(StreamId stream) const;

    Run run_;
    JournalWriter out_;
    JournalWriter err_;
    OnDisconnect wish_;
    const JournalChannel* holder_ = nullptr;
    std::set<const JournalChannel*> followers_;
};

}  // namespace frsh
