// Endings end what killed sessions have left running, in processes of their own.
//
// Each of these processes first becomes the user of the session. So it can read and signal only
// what this user may, and the listener reads no data of a user: not how large the environments are
// that a user makes, and not how many. A user has one such process at a time.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"

#include <map>
#include <vector>

#include <sys/types.h>

namespace frsh {

class Endings {
  public:
    using Time = EventLoop::Time;
    struct Owner {
        uid_t uid = 0;
        gid_t gid = 0;
    };

    // Notes that all processes of `origin` have to be ended, with the rights of the owner.
    void add(const Owner& owner, ProcessOrigin origin);
    // Forks the processes that are due. Call it outside of the loop's callbacks. Logs errors.
    void fork_due(Time now);
    // Returns true if the reaped process is one of these, and forgets it.
    bool reaped(pid_t pid);
    [[nodiscard]] bool is_empty() const { return waiting_.empty() && running_.empty(); }
    [[nodiscard]] Time next_deadline() const;

  private:
    struct Work {
        gid_t gid;
        std::vector<ProcessOrigin> origins;
    };
    [[nodiscard]] bool is_running(uid_t uid) const;

    std::map<uid_t, Work> waiting_;
    std::map<pid_t, uid_t> running_;
    Time fork_again_{};  // After a failure, not before.
};

}  // namespace frsh
