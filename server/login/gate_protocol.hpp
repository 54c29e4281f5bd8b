// What a gate and its monitor say to each other, each in one packet of at most kMaxGateMessage.
//
// The gate sees hostile bytes and may have been taken over by them, so the monitor reads these as
// if the peer itself had sent them: a letter, and a payload of known shape. What the monitor says
// is trusted.
#pragma once

#include "common/sys/fd.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// The largest payload that frames carry before a login, and some room for what stands before it.
inline constexpr std::size_t kMaxGateMessage = 16 * 1024 + 64;

struct ToMonitor {
    enum class Kind : char {
        Binding = 'B',  // The channel binding: asks for the host's proof.
        Probe = 'P',    // A user probe.
        Pending = 'W',  // The user is being asked.
        Auth = 'A',     // A user proof: asks for the verdict. The last one.
        Failure = 'F',  // No TLS, or no protocol: why, for the log. The last one, too.
    };
    Kind kind;
    std::string payload;
};

struct ToGate {
    enum class Kind : char {
        Peer = 'C',        // The connection itself comes with it (SCM_RIGHTS). The first one.
        HostProof = 'H',   // The nonce, and the payload of the proof.
        Acceptable = 'K',  // One byte, the index of a key; nothing if none will do.
        Admitted = 'Y',    // From here on: bytes.
        Refused = 'N',     // A whole frame for the client, and then the end.
    };
    Kind kind;
    std::string payload;
};

[[nodiscard]] std::string encode(const ToMonitor& message);
[[nodiscard]] std::string encode(const ToGate& message);
// Both throw ProtocolError.
[[nodiscard]] ToMonitor parse_to_monitor(std::string_view packet);
[[nodiscard]] ToGate parse_to_gate(std::string_view packet);

// A connected pair of packet sockets, close-on-exec and non-blocking.
[[nodiscard]] std::pair<Fd, Fd> make_packet_pair();
// A message is so short that the socket takes it whole, or the other side is gone: false then.
bool send_packet(int socket, std::string_view packet);
// The same with a descriptor, which is lent.
bool send_packet(int socket, std::string_view packet, int descriptor);
// Whole packets only: an empty optional is "none yet", an empty string the end.
[[nodiscard]] std::optional<std::string> receive_packet(int socket);
// Waits for a packet that brings a descriptor. Not open where the other side is gone.
[[nodiscard]] Fd wait_for_descriptor(int socket);

}  // namespace frsh
