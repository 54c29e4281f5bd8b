#include "server/login/gate_protocol.hpp"

#include "common/base/error.hpp"
#include "common/keys/proof.hpp"
#include "common/sys/fd_passing.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxReason = 256;
constexpr std::size_t kMaxTlsNames = 96;

bool is_tls_name(std::string_view text) {
    constexpr std::string_view kAllowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    return !text.empty() && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

template <typename Message>
std::string encode_one(const Message& message) {
    return std::string(1, static_cast<char>(message.kind)) + message.payload;
}

std::string_view split_packet(std::string_view packet, char& letter) {
    if (packet.empty() || packet.size() > kMaxGateMessage) {
        throw ProtocolError("gate: a packet of the wrong size");
    }
    letter = packet[0];
    return packet.substr(1);
}

}  // namespace

ToMonitor to_message(const GateBinding& binding) {
    return {ToMonitor::Kind::Binding,
            binding.binding + binding.tls.group + " " + binding.tls.cipher};
}

GateBinding parse_binding(const ToMonitor& message) {
    const std::string_view names = std::string_view(message.payload).substr(kBindingSize);
    const std::size_t blank = std::min(names.find(' '), names.size());
    const std::string_view group = names.substr(0, blank);
    const std::string_view cipher = names.substr(std::min(blank + 1, names.size()));
    if (!is_tls_name(group) || !is_tls_name(cipher)) {
        throw ProtocolError("gate: a binding without the names of its group and cipher");
    }
    return {message.payload.substr(0, kBindingSize), {std::string(group), std::string(cipher)}};
}

std::string encode(const ToMonitor& message) {
    return encode_one(message);
}
std::string encode(const ToGate& message) {
    return encode_one(message);
}

ToMonitor parse_to_monitor(std::string_view packet) {
    using Kind = ToMonitor::Kind;
    char letter = 0;
    const std::string_view payload = split_packet(packet, letter);
    const auto kind = static_cast<Kind>(letter);
    bool fits = false;
    switch (kind) {
        case Kind::Binding:
            fits = payload.size() > kBindingSize && payload.size() <= kBindingSize + kMaxTlsNames;
            break;
        case Kind::Probe:
        case Kind::Auth:
            fits = payload.size() <= kMaxProof;  // proof.cpp parses the content.
            break;
        case Kind::Pending:
            fits = payload.empty();
            break;
        case Kind::Failure:
            fits = payload.size() <= kMaxReason;
            break;
    }
    if (!fits) throw ProtocolError("gate: a packet of no known kind");
    return {kind, std::string(payload)};
}

ToGate parse_to_gate(std::string_view packet) {
    using Kind = ToGate::Kind;
    char letter = 0;
    const std::string_view payload = split_packet(packet, letter);
    const auto kind = static_cast<Kind>(letter);
    const bool fits = kind == Kind::Peer         ? payload.empty()
                      : kind == Kind::HostProof  ? payload.size() > kNonceSize
                      : kind == Kind::Acceptable ? payload.size() <= 1
                      : kind == Kind::Admitted   ? payload.empty()
                                                 : kind == Kind::Refused && !payload.empty();
    if (!fits) throw ProtocolError("monitor: a packet of no known kind");
    return {kind, std::string(payload)};
}

std::pair<Fd, Fd> make_packet_pair() {
    int fds[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
          "socketpair");
    return {Fd(fds[0]), Fd(fds[1])};
}

bool send_packet(int socket, std::string_view packet) {
    return ::send(socket, packet.data(), packet.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(packet.size());
}

bool send_packet(int socket, std::string_view packet, int descriptor) {
    return pass_descriptors(socket, packet, {descriptor});
}

Fd wait_for_descriptor(int socket) {
    for (;;) {
        char packet[8];
        Passed passed = receive_descriptors(socket, packet, sizeof packet);
        if (passed.result.status == IoResult::Status::EndOfFile) return {};
        if (passed.descriptors[0].is_open()) return std::move(passed.descriptors[0]);
        pollfd polled{socket, POLLIN, 0};
        if (::poll(&polled, 1, -1) == -1 && errno != EINTR) throw SysError("poll");
    }
}

std::optional<std::string> receive_packet(int socket) {
    // Offer room for one byte more than the limit, to detect a packet that is too long.
    std::string packet(kMaxGateMessage + 1, '\0');
    ssize_t got = 0;
    do {
        got = ::recv(socket, packet.data(), packet.size(), 0);
    } while (got == -1 && errno == EINTR);
    if (got == -1 && errno == EAGAIN) return std::nullopt;
    if (got == -1 && errno != ECONNRESET) throw SysError("recv");
    packet.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return packet;
}

}  // namespace frsh
