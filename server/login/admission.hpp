// A session requests its admission from the listener, when the login has been proved and before the
// session becomes the user. The listener records the login and counts the user's sessions.
//
//     session ── '?' and the request ──▶ listener        over the socket of LoginStep
//     session ◀── "+", or "-" and why ── listener
#pragma once

#include "server/login/login_status.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace frsh {

struct AdmissionRequest {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string bound_key;  // The fingerprint of a key that is bound to a command; else empty.
    std::string subject;    // The subject for the audit, as a line of JSON.
    std::string details;    // The details of the `connected` line, as a line of JSON.
};

// The longest packet, in bytes.
inline constexpr std::size_t kMaxStepPacket = 8192;

[[nodiscard]] std::string encode(const AdmissionRequest& request);
// Throws ProtocolError.
[[nodiscard]] AdmissionRequest parse_admission_request(std::string_view packet);

// Sends the request and blocks for the answer, for at most `patience`. Returns why the session is
// not admitted, or nothing. `steps` is the session's end of the socket.
[[nodiscard]] std::optional<std::string> find_admission_refusal(int steps,
                                                                const AdmissionRequest& request,
                                                                std::chrono::milliseconds patience);

}  // namespace frsh
