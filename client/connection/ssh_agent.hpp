// A client of ssh-agent: which keys it holds, and signatures by them (draft-miller-ssh-agent).
//
// The agent may ask its user, or wait for a finger on a token, for as long as that takes; so every
// question has a deadline, and after a second the caller is told what it is waiting for. An agent
// that says no is normal: it may hold keys for other hosts only.
#pragma once

#include "common/keys/ssh_key.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class SshAgent {
  public:
    using Clock = std::chrono::steady_clock;
    using OnWaiting = std::function<void(std::string_view)>;

    // The agent behind SSH_AUTH_SOCK; nothing when that is unset, or nobody answers there.
    [[nodiscard]] static std::optional<SshAgent> connect();
    [[nodiscard]] static std::optional<SshAgent> connect(const std::string& path);

    struct Identity {
        PublicKey key;
        std::string comment;
    };
    // Keys of types we know, without certificates; FIDO keys last, since they want to be touched.
    // Empty also when the agent does not answer by `deadline`, or not sensibly.
    [[nodiscard]] std::vector<Identity> identities(Clock::time_point deadline);

    enum class Answer { Signed, Refused, TimedOut, Gone };
    struct Result {
        Answer answer;
        std::string signature;  // In SSH's spelling, verified; RSA as rsa-sha2-512.
    };
    // `on_waiting` is called once, with words for the user, if there is no answer after a second.
    // An agent that timed out is not asked again: its answer could still come and be taken for
    // another's.
    [[nodiscard]] Result sign(const PublicKey& key, std::string_view data,
                              Clock::time_point deadline, const OnWaiting& on_waiting);

  private:
    explicit SshAgent(Fd socket) : socket_(std::move(socket)) {}

    enum class Exchange { Answered, TimedOut, Gone };
    Exchange ask(std::string_view request, Clock::time_point deadline, const OnWaiting& on_waiting,
                 std::string& answer);

    Fd socket_;  // Closed as soon as the conversation is out of step.
};

// The agent's answer to "which keys?", without its length. Throws ProtocolError.
[[nodiscard]] std::vector<SshAgent::Identity> parse_agent_identities(std::string_view answer);

// The agent's answer to "sign this", or nothing for a refusal. Throws ProtocolError.
[[nodiscard]] std::optional<std::string> parse_agent_signature(std::string_view answer);

}  // namespace frsh
