#include "server/listener/peer_source.hpp"

#include "common/base/error.hpp"
#include "common/net/address.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kEnforcedFrom = 15s;
constexpr auto kMost = 600s;
constexpr auto kTrialInterval = 1s;
constexpr std::size_t kMaxAccounts = 4096;

void put_address(const Address& address, std::uint32_t* into, std::uint16_t& port) {
    if (address.family() == AF_INET6) {
        const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
        std::memcpy(into, &in6.sin6_addr, sizeof in6.sin6_addr);
        port = in6.sin6_port;
    } else {
        const auto& in = reinterpret_cast<const sockaddr_in&>(address.storage);
        std::memcpy(into, &in.sin_addr, sizeof in.sin_addr);
        port = in.sin_port;
    }
}

// Requests from the kernel the owner of a socket on this machine, by its addresses (sock_diag(7)).
// This is exact enough to count connections. peer_credentials.cpp checks more before it grants
// rights.
std::optional<uid_t> owner_of(const Address& its_address, const Address& its_peer) {
    const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!netlink.is_open()) return std::nullopt;
    struct {
        nlmsghdr header;
        inet_diag_req_v2 body;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.body.sdiag_family = static_cast<std::uint8_t>(its_address.family());
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = ~0U;
    put_address(its_address, request.body.id.idiag_src, request.body.id.idiag_sport);
    put_address(its_peer, request.body.id.idiag_dst, request.body.id.idiag_dport);
    request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (::send(netlink.get(), &request, sizeof request, 0) == -1) return std::nullopt;
    alignas(nlmsghdr) char answer[4096];
    const ssize_t got = ::recv(netlink.get(), answer, sizeof answer, MSG_DONTWAIT);
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(inet_diag_msg))) return std::nullopt;
    nlmsghdr header{};
    std::memcpy(&header, answer, sizeof header);
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return std::nullopt;
    inet_diag_msg message{};
    std::memcpy(&message, answer + NLMSG_HDRLEN, sizeof message);
    return message.idiag_uid;
}

}  // namespace

PeerSource peer_source_of(int tcp_socket) {
    try {
        const Address peer = peer_address(tcp_socket);
        if (peer.is_loopback()) {
            const auto uid = owner_of(peer, local_address(tcp_socket));
            return {uid ? "uid " + std::to_string(*uid) : "loopback", true};
        }
        std::string name = peer.host_text();
        if (name.find(':') != std::string::npos) {
            in6_addr prefix = reinterpret_cast<const sockaddr_in6&>(peer.storage).sin6_addr;
            std::memset(prefix.s6_addr + 8, 0, 8);  // One host usually has a whole /64.
            char text[INET6_ADDRSTRLEN] = {};
            (void)::inet_ntop(AF_INET6, &prefix, text, sizeof text);
            name = std::string(text) + "/64";
        }
        return {name, false};
    } catch (const SysError&) {
        return {"gone", true};  // The peer has already disconnected.
    }
}

void Penalties::add(const std::string& source, std::chrono::seconds penalty, Time now) {
    if (accounts_.size() >= kMaxAccounts) {
        std::erase_if(accounts_, [now](const auto& entry) { return entry.second.until <= now; });
        // Under attack from many sources: drop an entry rather than grow.
        if (accounts_.size() >= kMaxAccounts) accounts_.erase(accounts_.begin());
    }
    Account& account = accounts_[source];
    if (account.until <= now) account = {now};
    account.until = std::min(account.until + penalty, now + kMost);
    account.is_enforced = account.is_enforced || account.until - now >= kEnforcedFrom;
}

std::optional<std::chrono::seconds> Penalties::find(const std::string& source, Time now) {
    const auto found = accounts_.find(source);
    if (found == accounts_.end()) return std::nullopt;
    if (found->second.until <= now) {
        accounts_.erase(found);
        return std::nullopt;
    }
    if (!found->second.is_enforced) return std::nullopt;
    return std::chrono::ceil<std::chrono::seconds>(found->second.until - now);
}

bool Penalties::take_trial(const std::string& source, Time now) {
    const auto found = accounts_.find(source);
    if (found == accounts_.end() || now < found->second.next_trial) return false;
    found->second.next_trial = now + kTrialInterval;
    return true;
}

}  // namespace frsh
