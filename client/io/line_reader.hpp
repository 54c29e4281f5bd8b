// Lines of a descriptor, as they come.
#pragma once

#include "client/io/inherited_input.hpp"
#include "common/sys/event_loop.hpp"

#include <functional>
#include <optional>
#include <string>

namespace frsh {

class LineReader {
  public:
    // Reads `fd`, which is lent, only while `wanted` says so.
    LineReader(EventLoop& loop, int fd, std::function<bool()> wanted);

    // The next line, without its newline; the last one may have none. Nothing yet, or at the end.
    std::optional<std::string> take();
    // Every line has been taken.
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
