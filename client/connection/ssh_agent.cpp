#include "client/connection/ssh_agent.hpp"

#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

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
    // A unix socket connects at once or not at all; EAGAIN is an agent with a full queue.
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::nullopt;
    }
    return SshAgent(std::move(socket));
}

std::vector<SshAgent::Identity> SshAgent::identities(Clock::time_point deadline) {
    std::string answer;
    const std::string request = WireWriter().u8(kRequestIdentities).take();
    if (ask(request, deadline, nullptr, answer) != Exchange::Answered) return {};
    try {
        return parse_agent_identities(answer);
    } catch (const ProtocolError&) {
        socket_.close();
        return {};
    }
}

SshAgent::Result SshAgent::sign(const PublicKey& key, std::string_view data,
                                Clock::time_point deadline, const OnWaiting& on_waiting) {
    const std::string request = WireWriter()
                                    .u8(kSignRequest)
                                    .string(key.blob())
                                    .string(data)
                                    .u32(key.type() == KeyType::Rsa ? kFlagRsaSha512 : 0)
                                    .take();
    std::string answer;
    switch (ask(request, deadline, on_waiting, answer)) {
        case Exchange::TimedOut:
            return {Answer::TimedOut, {}};
        case Exchange::Gone:
            return {Answer::Gone, {}};
        case Exchange::Answered:
            break;
    }
    try {
        auto signature = parse_agent_signature(answer);
        // Old agents ignore the flag and answer with SHA-1: no server of ours would take it.
        if (!signature || !key.verify(data, *signature)) return {Answer::Refused, {}};
        return {Answer::Signed, std::move(*signature)};
    } catch (const ProtocolError&) {
        socket_.close();
        return {Answer::Gone, {}};
    }
}

SshAgent::Exchange SshAgent::ask(std::string_view request, Clock::time_point deadline,
                                 const OnWaiting& on_waiting, std::string& answer) {
    if (!socket_.is_open()) return Exchange::Gone;
    const std::string message = WireWriter().string(request).take();
    std::string_view unsent = message;
    auto tell_at = on_waiting ? Clock::now() + kNoticeDelay : Clock::time_point::max();
    std::string received;
    std::size_t wanted = 4;  // The length first, then as much as it says.
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
        if (now >= deadline) {
            socket_.close();
            return Exchange::TimedOut;
        }
        if (now >= tell_at) {
            tell_at = Clock::time_point::max();
            on_waiting("waiting for ssh-agent: confirm or touch your key");
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            std::min({deadline, tell_at, now + std::chrono::hours(1)}) - now);
        pollfd waiting{socket_.get(), static_cast<short>(unsent.empty() ? POLLIN : POLLOUT), 0};
        if (::poll(&waiting, 1, static_cast<int>(left.count())) == -1 && errno != EINTR) {
            throw SysError("poll");
        }
    }
    answer = received.substr(4);
    return Exchange::Answered;
}

std::vector<SshAgent::Identity> parse_agent_identities(std::string_view answer) {
    WireReader reader(answer, "ssh-agent");
    const std::uint8_t kind = reader.u8();
    if (kind == kFailure) return {};  // A locked agent, for one.
    if (kind != kIdentitiesAnswer) reader.refuse("not an answer to this question");
    const std::uint32_t count = reader.u32();
    if (count > kMaxIdentities) reader.refuse("too many keys");
    std::vector<SshAgent::Identity> identities;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string_view blob = reader.string();
        const std::string_view comment = reader.string();
        try {
            identities.push_back({PublicKey::from_blob(blob), std::string(comment)});
        } catch (const ProtocolError&) {
            continue;  // A certificate, or a kind of key that we do not know.
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
    if (kind != kSignResponse) reader.refuse("not an answer to this question");
    std::string signature(reader.string());
    reader.finish();
    return signature;
}

}  // namespace frsh
