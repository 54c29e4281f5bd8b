// Signals as bytes on a descriptor: signalfd(7).
//
// frsh has no signal handlers at all. A handler may interrupt any instruction and may call almost
// nothing; a descriptor is read when we are ready for it, in the same loop as everything else.
#pragma once

#include "common/sys/fd.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class Signals {
  public:
    // Blocks these signals for the process and delivers them through `fd()` from now on.
    // Also ignores SIGPIPE: a reader that has gone is a return value (see fd.hpp).
    explicit Signals(const std::vector<int>& numbers);

    [[nodiscard]] int fd() const { return fd_.get(); }
    // The signals that have arrived since the last call; several of one kind count as one.
    [[nodiscard]] std::vector<int> take();

  private:
    Fd fd_;
};

// "INT" for SIGINT; "34" for a signal without a name. Names are the same on every machine, numbers
// are not, so names are what travels.
[[nodiscard]] std::string signal_name(int number);
// Accepts "INT", "SIGINT" and "2", in any case for names. Nothing for what is no signal here.
std::optional<int> signal_number(std::string_view name);

}  // namespace frsh
