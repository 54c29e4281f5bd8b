// Gate is the process that faces the network. It terminates TLS, reads frames up to the first
// signed login, and then moves bytes. It has no rights: an attacker in control of a gate controls
// only its one connection.
//
//     handshake ──▶ greeting (host proof from the monitor) ──▶ probes, login ──▶ verdict ──▶ relay
//
// The monitor does every step that needs a right, at the request of the gate (gate_protocol.hpp).
#pragma once

#include "common/base/byte_queue.hpp"
#include "common/net/tls.hpp"
#include "common/proto/message.hpp"
#include "server/login/gate_protocol.hpp"

#include <chrono>
#include <string>

namespace frsh {

class Gate {
  public:
    // `control` leads to the monitor. `session` gets the decrypted bytes after the login. No peer
    // is needed yet: a preforked gate enters its sandbox before a connection arrives.
    Gate(const TlsContext& context, Fd control, Fd session,
         std::chrono::milliseconds close_timeout);

    // Serves the peer, a non-blocking socket, until the connection ends. Never throws an exception
    // that a peer can cause.
    void run(Fd peer);

  private:
    bool shake_hands();
    bool log_in();
    void relay();

    void greet();
    // Handles one message of the login. Returns true for the last one, which is signed.
    bool handle(const Message& message);
    [[nodiscard]] ToGate wait_for_monitor();
    // Blocks until one of `events` on the peer's socket, and returns true. If the monitor refuses
    // the login meanwhile, passes the refusal on to the client and returns false.
    bool wait_for_peer(short events);
    void say(const Message& message);
    // Passes the monitor's refusal, a whole frame, on to the client.
    void pass_on_refusal(const std::string& packet);
    void report_failure(const std::string& why);

    enum class MayRead { No, Yes };
    void move_up(MayRead may_read);
    void move_down(MayRead may_read);

    TlsTransport tls_;
    Fd control_;
    Fd session_;
    MessageDecoder decoder_;
    std::chrono::milliseconds close_timeout_;
    int probes_ = 0;
    int pendings_ = 0;
    ByteQueue up_;                // Decrypted bytes for the session.
    ByteQueue down_;              // Bytes of the session for the peer.
    bool peer_ended_ = false;     // The peer sends no more.
    bool end_passed_on_ = false;  // The session has received this end.
    bool session_ended_ = false;
};

}  // namespace frsh
