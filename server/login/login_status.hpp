// What a session reports to the listener about its peer: its exit code, and single bytes before.
#pragma once

#include <csignal>

namespace frsh {

// The listener sends this signal to a session that shall leave if it is idle. A process that does
// not handle it ignores it (signal(7)).
inline constexpr int kLeaveIfIdle = SIGURG;

enum class LoginStatus : int {
    Fine = 0,      // The peer was admitted; the session has ended.
    Failed = 71,   // The login was refused.
    Silent = 72,   // The peer tried no login.
    Crashed = 73,  // The gate died, or sent the monitor what no intact gate sends.
};

// Progress of a login. The session sends each as a packet of one byte, which the listener reads.
enum class LoginStep : char {
    Hello = 'h',     // The peer has begun the TLS handshake.
    Spoken = 's',    // The peer has sent a probe or a signature.
    Pending = 'w',   // The client waits for its user.
    Asking = '?',    // A request for admission follows in the packet; see admission.hpp.
    Admitted = '+',  // The peer is admitted. No step follows.
};

}  // namespace frsh
