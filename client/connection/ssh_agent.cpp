#include "client/connection/ssh_agent.hpp"

#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace frsh {
namespace {

// Message numbers, draft-miller-ssh-agent, section 6.1.
constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kRequestIdentities = 11;
constexpr std::uint8_t kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13;
constexpr std::uint8_t kSignResponse = 14;
constexpr std::uint8_t kExtensionFailure = 28;
constexpr std::uint32_t kFlagRsaSha512 = 4;

constexpr std::size_t kMaxAnswer = std::size_t{256} * 1024;
constexpr std::size_t kMaxIdentities = 2048;
constexpr std::chrono::seconds kNoticeDelay{1};

}  // namespace

std::optional<SshAgent> SshAgent::connect() {
    const char* const path = std::getenv("SSH_AUTH_SOCK");
    if (path == nullptr || *path == '\0') return std::nullopt;
    return connect(path);
}

std::optional<SshAgent> SshAgent::connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return std::nullopt;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    // connect(2) on a unix socket never returns EINPROGRESS. EAGAIN: the agent's queue is full.
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::nullopt;
    }
    return SshAgent(std::move(socket));
}

std::vector<SshAgent::Identity> SshAgent::identities(const WaitLimit& limit) {
    std::string answer;
    const std::string request = WireWriter().u8(kRequestIdentities).take();
    if (exchange(request, limit, nullptr, answer) != Exchange::Answered) return {};
    try {
        return parse_agent_identities(answer);
    } catch (const ProtocolError&) {
        socket_.close();
        return {};
    }
}

SshAgent::Result SshAgent::sign(const Credential& identity, std::string_view data,
                                const WaitLimit& limit, const OnWaiting& on_waiting) {
    const PublicKey& key = identity.key;
    const std::string request = WireWriter()
                                    .u8(kSignRequest)
                                    .string(identity.blob())
                                    .string(data)
                                    .u32(key.type() == KeyType::Rsa ? kFlagRsaSha512 : 0)
                                    .take();
    std::string answer;
    switch (exchange(request, limit, on_waiting, answer)) {
        case Exchange::TimedOut:
            return {Answer::TimedOut, {}};
        case Exchange::Gone:
            return {Answer::Gone, {}};
        case Exchange::Answered:
            break;
    }
    try {
        auto signature = parse_agent_signature(answer);
        // Old agents ignore the flag and sign with SHA-1, which frshd does not accept.
        if (!signature || !key.verify(data, *signature)) return {Answer::Refused, {}};
        return {Answer::Signed, std::move(*signature)};
    } catch (const ProtocolError&) {
        socket_.close();
        return {Answer::Gone, {}};
    }
}

SshAgent::Exchange SshAgent::exchange(std::string_view request, const WaitLimit& limit,
                                      const OnWaiting& on_waiting, std::string& answer) {
    if (!socket_.is_open()) return Exchange::Gone;
    const std::string message = WireWriter().string(request).take();
    std::string_view unsent = message;
    auto notice_at = on_waiting ? Clock::now() + kNoticeDelay : Clock::time_point::max();
    std::string received;
    std::size_t wanted = 4;  // First the length field, then that many bytes.
    while (received.size() < wanted) {
        IoResult result;
        if (!unsent.empty()) {
            result = write_some(socket_.get(), unsent);
            if (result.status == IoResult::Status::Done) unsent.remove_prefix(result.bytes);
        } else {
            char buffer[4096];
            result =
                read_some(socket_.get(), buffer, std::min(sizeof buffer, wanted - received.size()));
            received.append(buffer, result.bytes);
        }
        if (result.status == IoResult::Status::EndOfFile) {
            socket_.close();
            return Exchange::Gone;
        }
        if (wanted == 4 && received.size() == 4) {
            const std::uint32_t size = WireReader(received, "ssh-agent").u32();
            if (size == 0 || size > kMaxAnswer) {
                socket_.close();
                return Exchange::Gone;
            }
            wanted += size;
        }
        if (result.status == IoResult::Status::Done) continue;

        const auto now = Clock::now();
        if (now >= limit.deadline) {
            socket_.close();
            return Exchange::TimedOut;
        }
        if (now >= notice_at) {
            notice_at = Clock::time_point::max();
            on_waiting("waiting for ssh-agent: confirm or touch your key");
        }
        (void)wait_for_events(socket_.get(), unsent.empty() ? POLLIN : POLLOUT,
                              {std::min(limit.deadline, notice_at), limit.cancel_fd});
    }
    answer = received.substr(4);
    return Exchange::Answered;
}

std::vector<SshAgent::Identity> parse_agent_identities(std::string_view answer) {
    WireReader reader(answer, "ssh-agent");
    const std::uint8_t kind = reader.u8();
    if (kind == kFailure) return {};  // A locked agent, for example.
    if (kind != kIdentitiesAnswer) reader.refuse("not an answer to this request");
    const std::uint32_t count = reader.u32();
    if (count > kMaxIdentities) reader.refuse("too many keys");
    std::vector<SshAgent::Identity> identities;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string_view blob = reader.string();
        const std::string_view comment = reader.string();
        try {
            Credential identity = Credential::from_blob(blob);
            identities.push_back(
                {std::move(identity.key), std::string(comment), std::move(identity.certificate)});
        } catch (const ProtocolError&) {
            continue;  // An unknown type of key.
        }
    }
    reader.finish();
    std::stable_partition(identities.begin(), identities.end(),
                          [](const auto& identity) { return !identity.key.is_fido(); });
    return identities;
}

std::optional<std::string> parse_agent_signature(std::string_view answer) {
    WireReader reader(answer, "ssh-agent");
    const std::uint8_t kind = reader.u8();
    if (kind == kFailure || kind == kExtensionFailure) return std::nullopt;
    if (kind != kSignResponse) reader.refuse("not an answer to this request");
    std::string signature(reader.string());
    reader.finish();
    return signature;
}

}  // namespace frsh
