// How many processes the kernel has killed for want of memory: in our control group, where it
// counts that (cgroups(7)), else on this machine.
//
// Such a death looks like any other by SIGKILL, and wait(2) does not tell them apart. Whom it hit
// is known only to the kernel's log, so nothing here says more than that it happened.
#pragma once

#include "common/sys/fd.hpp"

#include <cstdint>
#include <optional>

namespace frsh {

class OomKills {
  public:
    OomKills();

    // Until now; nothing where no file can be read that says so.
    [[nodiscard]] std::optional<std::uint64_t> count() const;

  private:
    Fd file_;
};

// The number in the line "oom_kill N" of such a file.
[[nodiscard]] std::optional<std::uint64_t> oom_kills_in(std::string_view text);

}  // namespace frsh
