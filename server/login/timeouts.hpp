// The deadlines of the server's side of a connection, from accept to the end of a login. They are
// data that is handed in, so that tests pass milliseconds where a server in production has seconds.
#pragma once

#include <chrono>

namespace frsh {

struct Timeouts {
    using Duration = std::chrono::milliseconds;

    // Listener: from accept until a whole greeting (the first bytes of a ClientHello) has arrived.
    Duration greeting = std::chrono::seconds(10);
    // Listener: how long a refused connection stays open for its client to read the reason.
    Duration lingering_close = std::chrono::seconds(1);
    // Listener, only while other connections wait for a login slot: for a ClientHello, and for each
    // answer after that. They also count the time that a busy server itself takes to begin.
    Duration contended_hello = std::chrono::seconds(3);
    Duration contended_answer = std::chrono::seconds(3);
    // Monitor: for the TLS handshake, and for the login after it.
    Duration handshake = std::chrono::seconds(10);
    Duration login = std::chrono::seconds(10);
    // Monitor: for the whole login if a person must touch a key or type a passphrase.
    Duration awaiting_user = std::chrono::seconds(120);
    // Monitor: each negative answer takes exactly this long, whatever it took to find out. So an
    // unknown user, an unknown key and a wrong signature cannot be told apart.
    Duration denial = std::chrono::milliseconds(400);
    // Monitor: for the gate to pass on the last message and exit.
    Duration gate_exit = std::chrono::seconds(3);
    // Gate: for the peer to read the last message and close as well.
    Duration peer_close = std::chrono::seconds(2);
};

}  // namespace frsh
