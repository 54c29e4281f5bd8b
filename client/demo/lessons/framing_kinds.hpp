// Eight ways to mark where a message ends, as pure functions: bytes in, messages out.
//
// Lesson framings sends the same messages in each of them. A decoder takes whatever recv returned,
// however it was cut.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

struct FramingKind {
    Text name;
    Text price;  // What it costs beside bytes, or what it cannot carry.
    // Returns the bytes of one message: what is added, and the data as it is sent.
    std::vector<Piece> (*encode)(std::string_view message);
    // Takes the first message from `stream` into `message`. Returns whether it was whole.
    bool (*decode)(std::string& stream, std::string& message);
};

// In the order of the lesson. Close-delimiting is not here: its end is the connection's end.
[[nodiscard]] const std::vector<FramingKind>& framing_kinds();

[[nodiscard]] std::string encoded(const FramingKind& kind, std::string_view message);

}  // namespace frsh::demo
