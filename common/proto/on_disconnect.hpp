// OnDisconnect is the client's wish for the time after its connection was lost.
#pragma once

#include <chrono>

namespace frsh {

// What happens to a run, a shell or a listening port when its connection is lost.
struct OnDisconnect {
    enum class Kind {
        Kill,   // It ends at once.
        Grace,  // It ends if no client resumes it within `grace`.
        Keep,   // It continues. For `grace`, the client's place on the channel is held.
    };
    Kind kind = Kind::Kill;
    std::chrono::milliseconds grace{0};
    bool operator==(const OnDisconnect&) const = default;
};

}  // namespace frsh
