// EditingLog collects the lines of the log while a line is edited: written at once, they would mix
// with the line. Between construction and destruction the log goes into a pipe.
#pragma once

#include "common/sys/fd.hpp"

#include <string>

namespace frsh {

class EditingLog {
  public:
    // Throws SysError.
    EditingLog();
    // Writes the rest to stderr, as the log does by itself.
    ~EditingLog();
    EditingLog(const EditingLog&) = delete;
    EditingLog& operator=(const EditingLog&) = delete;

    // Returns the lines that were logged since the last call.
    [[nodiscard]] std::string take();

  private:
    Pipe pipe_;
};

}  // namespace frsh
