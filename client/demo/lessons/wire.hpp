// Draws the log of `frsh --wire FILE` as ribbons: `frsh-demo wire FILE`.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

struct WireFrame {
    std::string type;
    std::size_t begin = 0;
    std::size_t size = 0;
    std::string bytes;      // Those that the log leaves out are zero here.
    std::size_t known = 0;  // The log has so many: of a payload the first 64.
};
struct WireCall {
    std::size_t number = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
};
// One direction of the connection.
struct WireStream {
    std::vector<WireFrame> frames;
    std::vector<WireCall> calls;
};
struct WireText {
    WireStream read;
    WireStream written;
};
// Reads the format that common/link/wire_log.hpp describes. Skips other lines.
[[nodiscard]] WireText parse_wire(std::string_view text);

// Reads `file`, or stdin for "-". Throws UserError if it has no frame.
void lesson_wire(Story& story, const std::string& file);

}  // namespace frsh::demo
