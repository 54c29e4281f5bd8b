// Refused connections that stay open until the client has read why.
//
// Closing a socket with unread bytes makes the kernel send RST, and the client may lose the reason
// that was sent before it (RFC 9112 section 9.6 describes the same). So only our direction is shut
// down, what the client still sends is drained, and the client closes first or a deadline passes.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

namespace frsh {

class LingeringCloses {
  public:
    using Time = EventLoop::Time;
    static constexpr std::size_t kMost = 256;

    explicit LingeringCloses(std::chrono::milliseconds timeout) : timeout_(timeout) {}

    // Sends `last_words`, which are so short that a socket takes them whole, and shuts down our
    // direction. Takes the non-blocking socket. Beyond kMost the oldest connection is closed.
    void add(Fd socket, std::string_view last_words, Time now);
    // Drains each connection, and closes it if its client has closed or its deadline has passed.
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;
    [[nodiscard]] bool is_empty() const { return closings_.empty(); }

  private:
    struct Closing {
        Fd socket;
        Time deadline;
    };

    std::chrono::milliseconds timeout_;
    std::vector<Closing> closings_;  // The oldest first.
};

}  // namespace frsh
