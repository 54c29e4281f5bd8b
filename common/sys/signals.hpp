// Signals as bytes on a descriptor: signalfd(7).
//
// frsh has no signal handlers. A handler may interrupt any instruction and may call only a few
// functions. The event loop reads this descriptor as any other, between two callbacks.
#pragma once

#include "common/sys/fd.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns `numbers` without the signals that this process ignores. A signal that the parent ignores
// (nohup(1), cron(8), `trap ''`) is ignored by every program that it starts. If such a signal were
// blocked, signalfd(2) would deliver it all the same.
[[nodiscard]] std::vector<int> without_ignored(std::vector<int> numbers);

class Signals {
  public:
    // Blocks these signals for the process and delivers them through `fd()` from now on. Also
    // ignores SIGPIPE: if a reader has gone, write_some() returns EndOfFile (fd.hpp).
    explicit Signals(const std::vector<int>& numbers);

    [[nodiscard]] int fd() const { return fd_.get(); }
    // Returns the signals that have arrived since the last call, each number once.
    [[nodiscard]] std::vector<int> take();

  private:
    Fd fd_;
};

// Returns "INT" for SIGINT, and "34" for a signal without a name. The protocol carries names,
// because numbers differ between machines.
[[nodiscard]] std::string signal_name(int number);
// Parses "INT", "SIGINT", "int" or "2". Returns nothing if this machine has no such signal.
std::optional<int> signal_number(std::string_view name);

}  // namespace frsh
