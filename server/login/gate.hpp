// Gate is the process that faces the network. It terminates TLS, reads frames up to the first
// signed login, and from then on moves bytes. It owns nothing and has no rights: an attacker in
// control of the gate has this one connection.
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
    // `control` leads to the monitor, `session` is where decrypted bytes go after the login. The
    // peer is yet to come: a gate may stand ready, sandbox and all, before there is one.
    Gate(const TlsContext& context, Fd control, Fd session,
         std::chrono::milliseconds close_timeout);

    // The whole life of a gate with its peer, a non-blocking socket. Throws nothing that the peer
    // can cause.
    void run(Fd peer);

  private:
    bool shake_hands();
    bool log_in();
    void relay();

    void greet();
    // One login message. True for the signed one.
    bool handle(const Message& message);
    [[nodiscard]] ToGate wait_for_monitor();
    // Waits until the peer can be read (or written), or the monitor has spoken: false then, and
    // the monitor's last word has been passed on.
    bool wait_for_peer(short events);
    void say(const Message& message);
    // The monitor's last word: a frame for the client.
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
    ByteQueue up_;                // Decrypted, on its way to the session.
    ByteQueue down_;              // From the session, for the peer.
    bool peer_ended_ = false;     // The peer says no more,
    bool end_passed_on_ = false;  // and the session knows.
    bool session_ended_ = false;
};

}  // namespace frsh
