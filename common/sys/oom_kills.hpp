// Counts the processes that the kernel has killed because memory was exhausted: in our control
// group if the kernel counts them there (cgroups(7)), otherwise on this machine.
//
// For wait(2), such an end is the same as any other by SIGKILL. Only the kernel's log names the
// killed process. So this count shows that such a kill happened, but not which process it hit.
#pragma once

#include "common/sys/fd.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace frsh {

class OomKills {
  public:
    OomKills();

    // Returns the count up to now; nothing if no file with a count can be read.
    [[nodiscard]] std::optional<std::uint64_t> count() const;

  private:
    Fd file_;
};

// Returns the number in the line "oom_kill N" of such a file; nothing if there is no such line.
[[nodiscard]] std::optional<std::uint64_t> oom_kills_in(std::string_view text);

}  // namespace frsh
