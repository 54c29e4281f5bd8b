// The requests that a program on the server sends to the agent of this side
// (draft-miller-ssh-agent). Only two kinds pass: list the keys, and sign.
//
//     each message:  u32 length, then as many bytes: u8 type, and what belongs to the type
//
// Pure: bytes go in as they come, whole requests come out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

struct AgentRequest {
    enum class Kind { List, Sign, Other };
    Kind kind = Kind::Other;
    std::string message;   // With its length, as it is passed on.
    std::string key_blob;  // For Sign.
    std::string data;      // For Sign: what is to be signed.
};

// As OpenSSH's own limit for a message, in bytes.
inline constexpr std::size_t kMaxAgentMessage = std::size_t{256} * 1024;

class AgentRequests {
  public:
    void feed(std::string_view bytes) { bytes_ += bytes; }
    // Returns the next whole request. Throws ProtocolError for a length that no agent accepts.
    [[nodiscard]] std::optional<AgentRequest> next();

  private:
    std::string bytes_;
};

// Returns the answer to a request that does not pass.
[[nodiscard]] std::string agent_refusal();

// Returns what a signature of these bytes is for, as far as they tell: "a login as bob over ssh",
// "a signature for \"git\"". May contain foreign control characters.
[[nodiscard]] std::string purpose_of(std::string_view data);

}  // namespace frsh
