// Something of a user's that is kept while it lives, and can be asked for by its id: a run
// (kept_run.hpp) or a shell with a name (kept_shell.hpp).
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "server/kept/store.hpp"
#include "server/run/termination.hpp"

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
    // Its folder, with its journals.
    [[nodiscard]] const std::string& path() const { return folder_->path(); }
    // Grows whenever there is more to be read, the end included.
    [[nodiscard]] std::uint64_t version() const { return version_; }
    // Once that is on disk, and nothing is left to be done.
    [[nodiscard]] const std::optional<msg::End>& end() const { return end_; }

    // Returns this job, lent, if it is of that kind; else null.
    [[nodiscard]] virtual KeptRun* as_run() { return nullptr; }
    [[nodiscard]] virtual KeptShell* as_shell() { return nullptr; }

    [[nodiscard]] virtual pid_t pid() const = 0;
    virtual void on(const msg::Signal& signal) = 0;
    virtual void on(const msg::Cancel& cancel) = 0;
    // Everything of it is ended.
    virtual void end_all(Termination::First first, Time now) = 0;
    // What has come of it goes to disk.
    virtual void write_down() = 0;

    // From the system.
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
