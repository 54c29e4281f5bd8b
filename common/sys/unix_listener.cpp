#include "common/sys/unix_listener.hpp"

#include "common/sys/fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kAnswer = std::size_t{32} * 1024;

// Requests all listening unix sockets with their names and users.
bool send_request(int netlink) {
    struct {
        nlmsghdr header;
        unix_diag_req body;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = AF_UNIX;
    request.body.udiag_states = 1U << TCP_LISTEN;
    request.body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID;
    return ::send(netlink, &request, sizeof request, 0) == ssize_t{sizeof request};
}

// Returns the user in one message about a socket, if the socket has this name.
std::optional<uid_t> owner_in(const char* message, std::size_t size, std::string_view name) {
    bool has_name = false;
    std::optional<uid_t> owner;
    std::size_t at = NLMSG_LENGTH(sizeof(unix_diag_msg));
    while (at + sizeof(rtattr) <= size) {
        rtattr attribute{};
        std::memcpy(&attribute, message + at, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > size) break;
        const std::string_view value(message + at + sizeof attribute,
                                     attribute.rta_len - sizeof attribute);
        if (attribute.rta_type == UNIX_DIAG_NAME) {
            has_name =
                value.size() == name.size() + 1 && value[0] == '\0' && value.substr(1) == name;
        } else if (attribute.rta_type == UNIX_DIAG_UID && value.size() == sizeof(std::uint32_t)) {
            std::uint32_t uid = 0;
            std::memcpy(&uid, value.data(), sizeof uid);
            owner = uid;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return has_name ? owner : std::nullopt;
}

}  // namespace

std::optional<uid_t> owner_of_abstract_listener(std::string_view name) {
    const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!netlink.is_open() || !send_request(netlink.get())) return std::nullopt;
    std::string answer(kAnswer, '\0');
    for (;;) {
        const ssize_t got = ::recv(netlink.get(), answer.data(), answer.size(), MSG_DONTWAIT);
        if (got == -1 && errno == EINTR) continue;
        if (got <= 0) return std::nullopt;
        const auto total = static_cast<std::size_t>(got);
        for (std::size_t at = 0; at + sizeof(nlmsghdr) <= total;) {
            nlmsghdr header{};
            std::memcpy(&header, answer.data() + at, sizeof header);
            if (header.nlmsg_len < sizeof header || at + header.nlmsg_len > total ||
                header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
                return std::nullopt;  // The end of the list, or an error.
            }
            if (const auto owner = owner_in(answer.data() + at, header.nlmsg_len, name)) {
                return owner;
            }
            at += NLMSG_ALIGN(header.nlmsg_len);
        }
    }
}

}  // namespace frsh
