// LineReader splits the bytes of a descriptor into lines.
#pragma once

#include "client/io/inherited_input.hpp"
#include "common/sys/event_loop.hpp"

#include <functional>
#include <optional>
#include <string>

namespace frsh {

class LineReader {
  public:
    // Reads `fd` (lent) only while `wanted` returns true.
    LineReader(EventLoop& loop, int fd, std::function<bool()> wanted);

    // Returns the next line without its newline; the last line may end without one. Returns nothing
    // if no line is complete yet, or at the end.
    std::optional<std::string> take();
    // Returns true once take() has returned every line.
    [[nodiscard]] bool is_at_end() const { return ended_ && begin_ == buffer_.size(); }

  private:
    void on_readable();

    InheritedInput input_;
    std::string buffer_;
    std::size_t begin_ = 0;
    std::size_t searched_ = 0;  // No newline before this.
    bool ended_ = false;
    EventLoop::Watch watch_;
};

}  // namespace frsh
