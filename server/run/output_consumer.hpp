// OutputConsumer receives one output stream of a run in place of a link: the journal of a kept run.
//
// A consumer takes bytes at once, as far as it has room, and never throws. While it has no room,
// the command has to wait.
#pragma once

#include "common/proto/message.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace frsh {

class OutputConsumer {
  public:
    virtual ~OutputConsumer() = default;

    // Returns the most bytes that the next call of data() may have.
    [[nodiscard]] virtual std::size_t room() const = 0;
    // Each call begins at the offset where the one before ended. `time_us` counts from the start of
    // the run.
    virtual void data(Offset offset, std::uint64_t time_us, std::string_view bytes) = 0;
    virtual void gap(const msg::Gap& gap) = 0;
    // May be called again after the consumer failed to write the end down.
    virtual void eof(Offset offset) = 0;

  protected:
    OutputConsumer() = default;
    OutputConsumer(const OutputConsumer&) = default;
    OutputConsumer& operator=(const OutputConsumer&) = default;
};

}  // namespace frsh
