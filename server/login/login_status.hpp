// What a child of the listener says of its peer by its exit code, and by single bytes on the way.
#pragma once

namespace frsh {

enum class LoginStatus : int {
    Fine = 0,      // A session, over in whatever way.
    Failed = 71,   // A login that was refused.
    Silent = 72,   // No login was tried.
    Crashed = 73,  // The gate died of something it should not have met.
};

// Written to the pipe between the two.
enum class LoginStep : char {
    Hello = 'h',     // The peer has begun to speak TLS,
    Spoken = 's',    // and has asked about keys, or signed.
    Pending = 'w',   // A person is being asked.
    Admitted = '+',  // The peer is known; nothing follows.
};

}  // namespace frsh
