// A process that is forked early and does nothing but fork sessions.
//
// fork(2) copies the parent's page tables. The memory of a listener grows with every connection, so
// the 800th session would begin with three times the pages of the first. The fork server's memory
// does not grow, so each session begins with as few pages as the first.
//
// The parent of a forked session is the process that started the fork server (clone(2),
// CLONE_PARENT), and that process reaps it.
#pragma once

#include "common/sys/fd.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace frsh {

class ForkServer {
  public:
    static constexpr std::size_t kMaxNote = 128;

    // What a forked process receives with the request for it.
    struct ForkedProcess {
        std::string note;
        Fd first;
        Fd second;
    };

    // Forks the fork server, which keeps only the standard streams and `kept` open. Returns nothing
    // in this process. Returns a value in each process that the fork server forks. Throws SysError.
    std::optional<ForkedProcess> start(std::vector<int> kept);
    [[nodiscard]] bool is_running() const { return way_.is_open(); }
    // Returns the pid of a new process, which has the signal mask of start()'s caller. `note` is
    // not empty and at most kMaxNote bytes; the descriptors are lent. Blocks for the answer. Throws
    // SysError: there is no new process then, and is_running() may be false.
    pid_t fork(std::string_view note, int first, int second);
    // Returns the fork server's pid; 0 if is_gone().
    [[nodiscard]] pid_t pid() const { return pid_; }
    // Returns true if the reaped process is the fork server.
    bool reaped(pid_t pid);
    // Kills the fork server. It still has to be reaped.
    void stop();
    // Returns true if there is no fork server, or it has been reaped.
    [[nodiscard]] bool is_gone() const { return pid_ == 0; }

  private:
    pid_t pid_ = 0;
    Fd way_;
};

}  // namespace frsh
