// KeptJob is a job of a user that does not end with its connection: a run (kept_run.hpp) or a shell
// with a name (kept_shell.hpp). Clients find it by its id or name.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/kept/store.hpp"
#include "server/run/termination.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

class KeptRun;
class KeptShell;

class KeptJob {
  public:
    using Time = EventLoop::Time;

    KeptJob(std::string id, std::unique_ptr<RunFolder> folder)
        : id_(std::move(id)), folder_(std::move(folder)) {}
    virtual ~KeptJob() = default;
    KeptJob(const KeptJob&) = delete;
    KeptJob& operator=(const KeptJob&) = delete;

    [[nodiscard]] const std::string& id() const { return id_; }
    // Returns the job's folder, which holds its journals.
    [[nodiscard]] const std::string& path() const { return folder_->path(); }
    // Returns a number that grows whenever a reader can read more, the end included.
    [[nodiscard]] std::uint64_t version() const { return version_; }
    // Returns the job's end once it is on disk; nothing before.
    [[nodiscard]] const std::optional<msg::End>& end() const { return end_; }

    // Returns this job, lent, if it is of that kind; else null.
    [[nodiscard]] virtual KeptRun* as_run() { return nullptr; }
    [[nodiscard]] virtual KeptShell* as_shell() { return nullptr; }

    [[nodiscard]] virtual pid_t pid() const = 0;
    virtual void on(const msg::Signal& signal) = 0;
    virtual void on(const msg::Cancel& cancel) = 0;
    // Ends all processes of the job. `first` is the first step.
    virtual void end_all(Termination::First first, Time now) = 0;
    // Writes the output that has arrived, and the end, to disk.
    virtual void write_down() = 0;

    // Returns true if this is a process of the job that has not been reaped. exited() reports that
    // it was reaped.
    [[nodiscard]] virtual bool awaits(pid_t pid) const = 0;
    virtual void exited(const ExitStatus& status) = 0;
    virtual void tick(Time now) = 0;
    [[nodiscard]] virtual Time next_deadline() const = 0;

  protected:
    void has_more() { ++version_; }
    void write_end(msg::End end);

  private:
    std::string id_;
    std::unique_ptr<RunFolder> folder_;
    std::uint64_t version_ = 1;
    std::optional<msg::End> end_;
};

}  // namespace frsh
