// A process that is forked early and then only forks.
//
// What fork(2) copies is the parent's memory, and a listener's grows and is shuffled with every
// guest: the 800th session would begin with three times the pages of the first, most of them soon
// its own. A session is forked from here instead, and begins as the first did.
//
// Its parent is not the zygote but who started that (clone(2), CLONE_PARENT): he waits for it.
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

    // What a process that came from the zygote is given.
    struct ForkedProcess {
        std::string note;
        Fd first;
        Fd second;
    };

    // Forks the zygote, which keeps standard streams and `kept` open, and everything else closed.
    // Returns nothing here, and in each process that is forked from it what is for that one.
    // Throws SysError.
    std::optional<ForkedProcess> start(std::vector<int> kept);
    [[nodiscard]] bool is_running() const { return way_.is_open(); }
    // The pid of the new process, which has the signal mask of start()'s caller. `note` is not
    // empty; the descriptors are lent. Throws SysError; the zygote may have gone then, and there is
    // no new process.
    pid_t fork(std::string_view note, int first, int second);
    // Was that it?
    bool reaped(pid_t pid);
    void stop();
    // Not until it was waited for.
    [[nodiscard]] bool is_gone() const { return pid_ == 0; }

  private:
    pid_t pid_ = 0;
    Fd way_;
};

}  // namespace frsh
