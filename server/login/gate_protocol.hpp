// The messages between a gate and its monitor: one packet each, of at most kMaxGateMessage bytes.
//
// The gate reads hostile bytes, and an attacker may control it. So the monitor parses the gate's
// messages as strictly as a peer's: a letter, and a payload of known form. The gate trusts the
// monitor.
#pragma once

#include "common/net/tls.hpp"
#include "common/sys/fd.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace frsh {

// The largest payload of a frame before a login, and room for the letter and the nonce before it.
inline constexpr std::size_t kMaxGateMessage = 16 * 1024 + 64;

struct ToMonitor {
    enum class Kind : char {
        Binding = 'B',  // A GateBinding. Requests the host proof.
        Probe = 'P',    // A user probe.
        Pending = 'W',  // The client waits for its user.
        Auth = 'A',     // A user proof. Requests the verdict. Last message of the gate.
        Failure = 'F',  // TLS or the protocol failed; the reason is logged. Last message, too.
    };
    Kind kind;
    std::string payload;
};

struct ToGate {
    enum class Kind : char {
        Peer = 'C',        // Carries the connection (SCM_RIGHTS). First message of the monitor.
        HostProof = 'H',   // The nonce, and the payload of the proof.
        Acceptable = 'K',  // One byte, the index of a key; no byte if no key is accepted.
        Admitted = 'Y',    // The gate moves bytes from now on.
        Refused = 'N',     // A whole frame for the client. The gate sends it and ends.
    };
    Kind kind;
    std::string payload;
};

// The channel binding, and what the handshake agreed on, for the audit: "B" ‖ "GROUP CIPHER".
struct GateBinding {
    std::string binding;
    TlsParameters tls;
};
[[nodiscard]] ToMonitor to_message(const GateBinding& binding);
// Throws ProtocolError unless both names are of letters, digits and underscores.
[[nodiscard]] GateBinding parse_binding(const ToMonitor& message);

[[nodiscard]] std::string encode(const ToMonitor& message);
[[nodiscard]] std::string encode(const ToGate& message);
// Both throw ProtocolError.
[[nodiscard]] ToMonitor parse_to_monitor(std::string_view packet);
[[nodiscard]] ToGate parse_to_gate(std::string_view packet);

// Returns a connected pair of packet sockets, close-on-exec and non-blocking.
[[nodiscard]] std::pair<Fd, Fd> make_packet_pair();
// Sends a packet, the second form with a lent descriptor. Never blocks: packets are short, so the
// socket has room. Returns false if the other side is gone.
bool send_packet(int socket, std::string_view packet);
bool send_packet(int socket, std::string_view packet, int descriptor);
// Returns the next whole packet; nothing if none has arrived; "" if the other side has closed.
[[nodiscard]] std::optional<std::string> receive_packet(int socket);
// Blocks until a packet with a descriptor arrives, and returns the descriptor. Returns a closed Fd
// if the other side is gone.
[[nodiscard]] Fd wait_for_descriptor(int socket);

}  // namespace frsh
