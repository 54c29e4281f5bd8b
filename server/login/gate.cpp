#include "server/login/gate.hpp"

#include "common/base/error.hpp"
#include "common/base/version.hpp"
#include "common/keys/proof.hpp"
#include "common/net/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Handshake = TlsTransport::Handshake;

constexpr std::size_t kRelay = std::size_t{64} * 1024;
// How often the peer's machine is checked with is_peer_silent().
constexpr auto kLookAgain = 15s;
// A limit that no honest client reaches.
constexpr int kMaxPendings = 8;

// Blocks in poll(2). EINTR counts as a wake-up without events.
void wait(pollfd* polled, nfds_t count, int timeout) {
    if (::poll(polled, count, timeout) == -1 && errno != EINTR) throw SysError("poll");
}

}  // namespace

Gate::Gate(const TlsContext& context, Fd control, Fd session,
           std::chrono::milliseconds close_timeout)
    : tls_(context),
      control_(std::move(control)),
      session_(std::move(session)),
      decoder_(kStrangerLimits),
      close_timeout_(close_timeout) {}

void Gate::run(Fd peer) {
    tls_.attach(std::move(peer));
    try {
        if (shake_hands() && log_in()) {
            control_.close();
            relay();
        }
    } catch (const ProtocolError& error) {
        report_failure(error.what());
        try {
            say(msg::Error{"protocol", error.what(), std::nullopt});
        } catch (const TlsError&) {
            return;
        } catch (const SysError&) {
            return;
        }
    } catch (const TlsError& error) {
        return report_failure(error.what());
    } catch (const SysError& error) {
        return report_failure(error.what());
    }
    session_.close();
    tls_.close_and_wait(close_timeout_);
}

void Gate::report_failure(const std::string& why) {
    if (!control_.is_open()) return;
    send_packet(control_.get(), encode(ToMonitor{ToMonitor::Kind::Failure, why.substr(0, 256)}));
}

bool Gate::shake_hands() {
    for (;;) {
        switch (tls_.handshake()) {
            case Handshake::Done:
                return true;
            case Handshake::Greet:
                greet();
                break;
            case Handshake::WantsRead:
                if (!wait_for_peer(POLLIN)) return false;
                break;
            case Handshake::WantsWrite:
                if (!wait_for_peer(POLLOUT)) return false;
                break;
            case Handshake::Refused:
                must(false, "only clients are refused");
        }
    }
}

void Gate::greet() {
    send_packet(control_.get(),
                encode(to_message(GateBinding{tls_.exporter(), tls_.parameters()})));
    const ToGate answer = wait_for_monitor();
    if (answer.kind != ToGate::Kind::HostProof) throw SysError("host proof", ECONNABORTED);
    std::string greeting;
    encode(greeting, msg::Hello{kProtocolVersion,
                                std::string("frshd/") + kVersion,
                                {"runs", "shells", "ptys"},
                                "",
                                "",
                                answer.payload.substr(0, kNonceSize)});
    encode(greeting, msg::Proof{answer.payload.substr(kNonceSize)});
    tls_.greet(greeting);
}

ToGate Gate::wait_for_monitor() {
    pollfd polled{control_.get(), POLLIN, 0};
    for (;;) {
        if (const auto packet = receive_packet(control_.get())) {
            if (packet->empty()) throw SysError("monitor", ECONNABORTED);
            return parse_to_gate(*packet);
        }
        wait(&polled, 1, -1);
    }
}

bool Gate::wait_for_peer(short events) {
    pollfd polled[] = {{tls_.read_fd(), events, 0}, {control_.get(), POLLIN, 0}};
    wait(polled, 2, -1);
    if (polled[1].revents == 0) return true;
    if (const auto packet = receive_packet(control_.get())) {
        pass_on_refusal(*packet);
        return false;
    }
    return true;
}

void Gate::pass_on_refusal(const std::string& packet) {
    if (packet.empty()) return;  // The monitor is gone, so the gate ends, too.
    const ToGate refusal = parse_to_gate(packet);
    if (refusal.kind != ToGate::Kind::Refused || tls_.handshake() != Handshake::Done) return;
    tls_.write(refusal.payload);
}

void Gate::say(const Message& message) {
    std::string bytes;
    encode(bytes, message);
    // The message is short: the transport takes it whole, unless the peer is gone.
    tls_.write(bytes);
}

bool Gate::log_in() {
    for (;;) {
        while (const auto message = decoder_.next()) {
            if (!handle(*message)) continue;
            // Bytes behind the login are not decoded here. They are for the session.
            up_.append(decoder_.frames().take_rest());
            const ToGate verdict = wait_for_monitor();
            if (verdict.kind == ToGate::Kind::Admitted) return true;
            if (verdict.kind == ToGate::Kind::Refused) tls_.write(verdict.payload);
            return false;
        }
        std::size_t size = 0;
        char* const room = decoder_.frames().room(kRelay, size);
        const IoResult got = tls_.read(room, size);
        if (got.status == IoResult::Status::EndOfFile) return false;
        if (got.status == IoResult::Status::Done) {
            decoder_.frames().commit(got.bytes);
        } else if (!wait_for_peer(POLLIN)) {
            return false;
        }
    }
}

bool Gate::handle(const Message& message) {
    const auto send = [this](ToMonitor::Kind kind, const std::string& payload) {
        if (payload.size() > kMaxProof) throw ProtocolError("a login that is too long");
        send_packet(control_.get(), encode(ToMonitor{kind, payload}));
    };
    if (const auto* const probe = std::get_if<msg::Probe>(&message)) {
        if (++probes_ > kMaxProbeRounds) throw ProtocolError("too many probes");
        send(ToMonitor::Kind::Probe, probe->payload);
        const ToGate answer = wait_for_monitor();
        if (answer.kind != ToGate::Kind::Acceptable) throw ProtocolError("no answer in time");
        msg::Acceptable acceptable;
        if (!answer.payload.empty()) {
            acceptable.key = static_cast<unsigned char>(answer.payload[0]);
        }
        say(acceptable);
        return false;
    }
    if (std::holds_alternative<msg::AuthPending>(message)) {
        if (++pendings_ > kMaxPendings) throw ProtocolError("too many auth_pending");
        send(ToMonitor::Kind::Pending, "");
        return false;
    }
    const auto* const auth = std::get_if<msg::Auth>(&message);
    if (auth == nullptr) throw ProtocolError("a message that may only come after a login");
    send(ToMonitor::Kind::Auth, auth->payload);
    return true;
}

// Moves bytes in both directions until the session ends. Each direction has one buffer and reads
// only when this buffer is empty. So a slow receiver stops the sender through the kernel's buffers.
void Gate::relay() {
    using Clock = std::chrono::steady_clock;
    auto look_at = Clock::now() + kLookAgain;
    while (!session_ended_ || !down_.is_empty() || tls_.has_unsent()) {
        short peer_events = 0;
        short session_events = 0;
        const bool is_stuffed = !down_.is_empty() || tls_.has_unsent();
        if (up_.is_empty() && !peer_ended_) peer_events |= POLLIN;
        if (is_stuffed) peer_events |= POLLOUT;
        if (!up_.is_empty()) session_events |= POLLOUT;
        if (!is_stuffed && !session_ended_) session_events |= POLLIN;
        // Leave out a descriptor without wanted events: poll(2) would report its hang-up at once.
        pollfd polled[] = {{peer_events != 0 ? tls_.read_fd() : -1, peer_events, 0},
                           {session_events != 0 ? session_.get() : -1, session_events, 0}};
        const bool is_ready = (peer_events & POLLIN) != 0 && tls_.has_buffered();
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(look_at - Clock::now()).count();
        wait(polled, 2, is_ready ? 0 : static_cast<int>(std::max<std::int64_t>(left, 0)));
        move_up(is_ready || polled[0].revents != 0 ? MayRead::Yes : MayRead::No);
        move_down(polled[1].revents != 0 ? MayRead::Yes : MayRead::No);
        // Check on a timer and not only after a quiet poll(2): a command that writes a little from
        // time to time would put the check off for ever.
        if (Clock::now() < look_at) continue;
        look_at = Clock::now() + kLookAgain;
        if (is_peer_silent(tls_.read_fd())) throw SysError("the peer's machine", ETIMEDOUT);
    }
}

void Gate::move_up(MayRead may_read) {
    if (may_read == MayRead::Yes && up_.is_empty() && !peer_ended_) {
        std::size_t size = 0;
        char* const room = up_.room(size);
        const IoResult got = tls_.read(room, size);
        up_.commit(got.bytes);
        peer_ended_ = got.status == IoResult::Status::EndOfFile;
    }
    if (!up_.is_empty()) {
        const IoResult put = write_some(session_.get(), up_.piece());
        up_.drop(put.bytes);
        if (put.status == IoResult::Status::EndOfFile) {
            // The session reads no more. Its last output is still passed on, by move_down().
            up_.clear();
            peer_ended_ = end_passed_on_ = true;
        }
    }
    if (peer_ended_ && up_.is_empty() && !end_passed_on_) {
        end_passed_on_ = true;
        ::shutdown(session_.get(), SHUT_WR);
    }
}

void Gate::move_down(MayRead may_read) {
    if (may_read == MayRead::Yes && down_.is_empty() && !tls_.has_unsent() && !session_ended_) {
        std::size_t size = 0;
        char* const room = down_.room(size);
        const IoResult got = read_some(session_.get(), room, size);
        down_.commit(got.bytes);
        session_ended_ = got.status == IoResult::Status::EndOfFile;
    }
    if (down_.is_empty() && !tls_.has_unsent()) return;
    const IoResult put = tls_.write(down_.piece());
    down_.drop(put.bytes);
    if (put.status == IoResult::Status::EndOfFile) {
        down_.clear();
        session_ended_ = true;
    }
}

}  // namespace frsh
