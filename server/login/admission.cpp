#include "server/login/admission.hpp"

#include "common/base/error.hpp"
#include "common/proto/json.hpp"
#include "server/login/gate_protocol.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>

#include <poll.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxPart = kMaxStepPacket / 2;

}  // namespace

std::string encode(const AdmissionRequest& request) {
    JsonObject json;
    json.add_whole("uid", request.uid);
    json.add_whole("gid", request.gid);
    json.add_text("bound_key", request.bound_key);
    json.add_text("subject", request.subject);
    json.add_text("details", request.details);
    return static_cast<char>(LoginStep::Asking) + json.dump();
}

AdmissionRequest parse_admission_request(std::string_view packet) {
    if (packet.empty() || packet[0] != static_cast<char>(LoginStep::Asking)) {
        throw ProtocolError("no request for admission");
    }
    const JsonObject json = JsonObject::parse(packet.substr(1));
    AdmissionRequest request;
    request.uid = static_cast<uid_t>(json.whole("uid", UINT32_MAX));
    request.gid = static_cast<gid_t>(json.whole("gid", UINT32_MAX));
    request.bound_key = json.text("bound_key", kMaxPart);
    request.subject = json.text("subject", kMaxPart);
    request.details = json.text("details", kMaxPart);
    return request;
}

std::optional<std::string> find_admission_refusal(int steps, const AdmissionRequest& request,
                                                  std::chrono::milliseconds patience) {
    if (!send_packet(steps, encode(request))) return "the server's listener has ended";
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
        if (const auto answer = receive_packet(steps)) {
            if (answer->empty()) return "the server's listener has ended";
            if (answer->front() == '+') return std::nullopt;
            return answer->substr(1);
        }
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) return "the server's listener does not answer";
        pollfd polled{steps, POLLIN, 0};
        if (::poll(&polled, 1, static_cast<int>(left.count())) == -1 && errno != EINTR) {
            throw SysError("poll");
        }
    }
}

}  // namespace frsh
