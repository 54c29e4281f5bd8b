#include "client/forward/agent_filter.hpp"

#include "common/base/error.hpp"
#include "common/keys/proof.hpp"
#include "common/keys/ssh_key.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstdint>
#include <utility>

namespace frsh {
namespace {

constexpr std::uint8_t kAgentFailure = 5;
constexpr std::uint8_t kAgentList = 11;
constexpr std::uint8_t kAgentSign = 13;
constexpr std::size_t kAgentLength = 4;              // Bytes of the length.
constexpr std::uint8_t kUserauthRequest = 50;        // RFC 4252, section 6.
constexpr std::string_view kSshsigMagic = "SSHSIG";  // PROTOCOL.sshsig of OpenSSH.

// Throws ProtocolError.
void parse_sign(AgentRequest& request, std::string_view content) {
    WireReader reader(content, "ssh-agent");
    request.key_blob = reader.string();
    request.data = reader.string();
    (void)reader.u32();  // Flags.
    reader.finish();
    request.kind = AgentRequest::Kind::Sign;
}

// Parses what a client of ssh signs to log in (RFC 4252, section 7). Throws ProtocolError.
std::string purpose_of_login(std::string_view data) {
    WireReader reader(data, "ssh-agent");
    (void)reader.string();  // The session's id.
    if (reader.u8() != kUserauthRequest) reader.refuse("no login");
    const std::string user(reader.string());
    const std::string_view service = reader.string();
    const std::string_view method = reader.string();
    if (service != "ssh-connection" || !method.starts_with("publickey")) reader.refuse("no login");
    std::string text = "a login as " + user + " over ssh";
    if (method == "publickey") return text;
    (void)reader.u8();
    (void)reader.string();  // The algorithm.
    (void)reader.string();  // The user's key.
    return text + " at the host with the key " +
           PublicKey::from_blob(reader.string()).fingerprint();
}

}  // namespace

std::optional<AgentRequest> AgentRequests::next() {
    if (bytes_.size() < kAgentLength) return std::nullopt;
    const std::uint32_t length = WireReader(std::string_view(bytes_), "ssh-agent").u32();
    if (length == 0 || length > kMaxAgentMessage) {
        throw ProtocolError("ssh-agent: a message of " + std::to_string(length) + " bytes");
    }
    if (bytes_.size() < kAgentLength + length) return std::nullopt;
    AgentRequest request;
    request.message = bytes_.substr(0, kAgentLength + length);
    bytes_.erase(0, kAgentLength + length);
    const auto type = static_cast<std::uint8_t>(request.message[kAgentLength]);
    const std::string_view content = std::string_view(request.message).substr(kAgentLength + 1);
    if (type == kAgentList && content.empty()) request.kind = AgentRequest::Kind::List;
    if (type != kAgentSign) return request;
    try {
        parse_sign(request, content);
    } catch (const ProtocolError&) {
        request.kind = AgentRequest::Kind::Other;
    }
    return request;
}

std::string agent_refusal() {
    return WireWriter().string(WireWriter().u8(kAgentFailure).bytes()).take();
}

std::string purpose_of(std::string_view data) {
    try {
        if (data.starts_with(kSshsigMagic)) {
            const std::string name(
                WireReader(data.substr(kSshsigMagic.size()), "ssh-agent").string());
            if (name == kUserNamespace) return "a login by frsh";
            return "a signature for \"" + name + "\"";
        }
        return purpose_of_login(data);
    } catch (const ProtocolError&) {
        return "something that cannot be told";
    }
}

}  // namespace frsh
