#include "server/login/peer_name.hpp"

#include "common/keys/host_pattern.hpp"
#include "server/login/child_answer.hpp"

#include <memory>

#include <netdb.h>
#include <sys/socket.h>

namespace frsh {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

// Returns an empty list if there is none.
AddressList addresses_of(const std::string& name, int family, int flags) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) found = nullptr;
    return {found, &::freeaddrinfo};
}

std::string name_of_address(const addrinfo& address, int flags) {
    char name[NI_MAXHOST] = "";
    const int status =
        ::getnameinfo(address.ai_addr, address.ai_addrlen, name, sizeof name, nullptr, 0, flags);
    return status == 0 ? name : "";
}

// The owner of an address decides about its name, so the name counts only if it leads back.
std::string look_up_peer_name(const std::string& address) {
    const AddressList peer = addresses_of(address, AF_UNSPEC, AI_NUMERICHOST);
    if (!peer) return address;
    const std::string name = to_lower(name_of_address(*peer, NI_NAMEREQD));
    if (name.empty() || addresses_of(name, AF_UNSPEC, AI_NUMERICHOST)) return address;
    const AddressList back = addresses_of(name, peer->ai_family, 0);
    for (const addrinfo* one = back.get(); one != nullptr; one = one->ai_next) {
        if (name_of_address(*one, NI_NUMERICHOST) == address) return name;
    }
    return address;
}

}  // namespace

std::optional<std::string> find_peer_name(const std::string& address,
                                          std::chrono::milliseconds timeout) {
    // In a child, because a resolver that does not answer takes its own time.
    std::string name = answer_in_child([&] { return look_up_peer_name(address); }, timeout);
    if (name.empty()) return std::nullopt;
    return name;
}

}  // namespace frsh
