// A client of ssh-agent: lists its keys and requests signatures (draft-miller-ssh-agent).
//
// The agent may ask its user, or wait for the touch of a token, without a limit of its own. So each
// request has a deadline, and after one second the caller gets a text for the user. A refusal is
// normal: the agent may hold keys for other hosts only.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "common/keys/ssh_key.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/wait.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

class SshAgent {
  public:
    using Clock = std::chrono::steady_clock;
    using OnWaiting = std::function<void(std::string_view)>;

    // Connects to the agent at SSH_AUTH_SOCK, or at `path`. Returns nothing if the variable is
    // unset or no agent listens there. Never blocks.
    [[nodiscard]] static std::optional<SshAgent> connect();
    [[nodiscard]] static std::optional<SshAgent> connect(const std::string& path);

    struct Identity {
        PublicKey key;
        std::string comment;
        std::optional<Certificate> certificate = {};
    };
    // Returns the keys and certificates of supported types; FIDO keys last, since they need a
    // touch. Empty also if the agent does not answer in time, or its answer is malformed. Blocks up
    // to `limit`. Throws WaitCanceled.
    [[nodiscard]] std::vector<Identity> identities(const WaitLimit& limit);

    enum class Answer { Signed, Refused, TimedOut, Gone };
    struct Result {
        Answer answer;
        std::string signature;  // In SSH's wire format, verified; RSA as rsa-sha2-512.
    };
    // Calls `on_waiting` once, with a text for the user, if there is no answer after one second.
    // After a timeout this object sends no more requests: the late answer could be taken for the
    // answer to the next one. Blocks up to `limit`. Throws WaitCanceled.
    // `identity` is as the agent listed it.
    [[nodiscard]] Result sign(const Credential& identity, std::string_view data,
                              const WaitLimit& limit, const OnWaiting& on_waiting);

  private:
    explicit SshAgent(Fd socket) : socket_(std::move(socket)) {}

    enum class Exchange { Answered, TimedOut, Gone };
    Exchange exchange(std::string_view request, const WaitLimit& limit, const OnWaiting& on_waiting,
                      std::string& answer);

    Fd socket_;  // Closed after the first timeout or malformed answer.
};

// Parses an IDENTITIES_ANSWER, without its length field. Throws ProtocolError.
[[nodiscard]] std::vector<SshAgent::Identity> parse_agent_identities(std::string_view answer);

// Parses a SIGN_RESPONSE, without its length field; nothing for a refusal. Throws ProtocolError.
[[nodiscard]] std::optional<std::string> parse_agent_signature(std::string_view answer);

}  // namespace frsh
