// What a session reports to the listener about its peer: its exit code, and single bytes before.
#pragma once

namespace frsh {

enum class LoginStatus : int {
    Fine = 0,      // The peer was admitted; the session has ended.
    Failed = 71,   // The login was refused.
    Silent = 72,   // The peer tried no login.
    Crashed = 73,  // The gate died, or sent the monitor what no intact gate sends.
};

// Progress of a login. The session writes these bytes to a pipe that the listener reads.
enum class LoginStep : char {
    Hello = 'h',     // The peer has begun the TLS handshake.
    Spoken = 's',    // The peer has sent a probe or a signature.
    Pending = 'w',   // The client waits for its user.
    Admitted = '+',  // The peer is admitted. No step follows.
};

}  // namespace frsh
