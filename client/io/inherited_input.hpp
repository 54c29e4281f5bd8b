// A descriptor to read from, lent by whoever started us and left as it was: like InheritedOutput
// (see sink.hpp), it never sets O_NONBLOCK on what the caller's shell and our siblings share.
#pragma once

#include "common/sys/fd.hpp"

#include <cstddef>

namespace frsh {

class InheritedInput {
  public:
    // Throws SysError where `fd` is not open.
    explicit InheritedInput(int fd);

    // What an event loop waits on.
    [[nodiscard]] int fd() const { return own_.is_open() ? own_.get() : lent_; }
    // One attempt, after poll(2) said that it is worth one. It does not wait, except on a terminal
    // that cannot be opened anew: Ctrl-C may empty it between the two. Throws SysError.
    IoResult read(char* buffer, std::size_t size);

  private:
    int lent_;
    Fd own_;  // The pipe or the terminal, opened anew without waiting.
    bool is_socket_ = false;
};

}  // namespace frsh
