// One connection with the learner's own numbers: `frsh-demo try`, and the page's sandbox.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

struct Trial {
    enum class Framing { None, Length };
    std::vector<std::size_t> sizes = {9, 9, 11};  // Bytes of each message.
    std::size_t recv_size = 1024;
    unsigned gap = 0;     // Milliseconds between two sends.
    unsigned delay = 0;   // Milliseconds that the reader waits before its first recv.
    int send_buffer = 0;  // SO_SNDBUF; 0: the kernel's own.
    bool has_nodelay = false;
    bool has_cork = false;
    bool has_delayed_ack = false;
    Framing framing = Framing::None;
};

// Reads "A:9 B:9 C:11". Returns nothing if a size is not from 1 to 65536, or there are more than
// 16 messages.
[[nodiscard]] std::optional<std::vector<std::size_t>> parse_sends(std::string_view text);

void lesson_try(Story& story, const Trial& trial);

}  // namespace frsh::demo
