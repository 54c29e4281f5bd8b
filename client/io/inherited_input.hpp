// InheritedInput reads from a descriptor that the caller of frsh passed in, and leaves its flags as
// they are. O_NONBLOCK belongs to the open file, which the caller's shell shares (see
// output_sink.hpp).
#pragma once

#include "common/sys/fd.hpp"

#include <cstddef>

namespace frsh {

class InheritedInput {
  public:
    // Throws SysError where `fd` is not open.
    explicit InheritedInput(int fd);

    // Returns the descriptor for an event loop to watch; lent.
    [[nodiscard]] int fd() const { return own_.is_open() ? own_.get() : lent_; }
    // Reads once; call it after poll(2) reported input. Blocks only on a terminal that could not be
    // reopened, if Ctrl-C discards the input in between. Throws SysError.
    IoResult read(char* buffer, std::size_t size);

  private:
    int lent_;
    Fd own_;  // The same pipe or terminal, reopened with O_NONBLOCK.
    bool is_socket_ = false;
};

}  // namespace frsh
