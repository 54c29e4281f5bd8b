// The messages about ports and sockets on which a session listens for its client.
//
//     client                         session
//     listen     ──────────────▶     binds
//                ◀──────────────     listening, with the port or the reason for a failure
//                ◀──────────────     incoming, for each connection that it has accepted
//     open, mode accept  ──────▶     the connection is a channel from then on
//     unlisten   ──────────────▶     closes
#pragma once

#include "common/proto/on_disconnect.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

using ListenerId = std::uint32_t;  // Chosen by the client.

// The most listeners that one link may have at a time.
inline constexpr std::size_t kMaxListeners = 64;

namespace msg {

// Client to server. A repetition, after a resume, is answered again and changes nothing.
struct Listen {
    ListenerId listener = 0;
    // A host and a port, or the path of a unix socket alone. "localhost": both loopbacks. "" or
    // "*": all addresses. Port 0: a free one.
    std::vector<std::string> args;
    OnDisconnect on_disconnect = {};
    bool unlink = false;  // Remove a socket file first, even if a server listens there.
    // In place of args: a private socket of the session's choice, whose path is SSH_AUTH_SOCK of
    // the runs and shells that this client begins behind it.
    bool agent = false;
};
// The answer.
struct Listening {
    ListenerId listener = 0;
    std::uint64_t port = 0;                // 0 for a unix socket.
    std::optional<std::string> problem{};  // There is no such listener, for this reason.
};
// Server to client: a connection was accepted and waits for an open of mode accept.
struct Incoming {
    ListenerId listener = 0;
    std::uint64_t connection = 0;  // Counted from 1 in each session.
    std::string from{};            // The peer's address and port; empty for a unix socket.
};
// Client to server: close the listener. Connections that were accepted go on.
struct Unlisten {
    ListenerId listener = 0;
};

}  // namespace msg
}  // namespace frsh
