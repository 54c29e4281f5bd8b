// Admits peers without a key: only processes of this user, as the kernel reports.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace frsh {

// For a unix socket: returns why the peer is refused; nothing if its uid is ours.
[[nodiscard]] std::optional<std::string> refuse_unix_peer(int socket);

// For plain TCP on loopback: returns why the peer is refused; nothing if its uid is ours.
//
// The kernel's table of sockets must list the peer's end exactly once: established, held by a
// process (inode not 0), and with our uid. A closed socket stays in the table with uid 0, so
// without the check of the inode a root server would admit any user.
[[nodiscard]] std::optional<std::string> refuse_plaintext_peer(int socket);

// The two addresses of a connection in the form of /proc/net/tcp and /proc/net/tcp6, for example
// "0100007F:1F90".
struct TableAddresses {
    std::string v4_peer, v4_own;  // Empty for IPv6 connections.
    std::string v6_peer, v6_own;  // Mapped, for IPv4 connections.
};
[[nodiscard]] std::optional<std::string> judge_tables(std::string_view tcp, std::string_view tcp6,
                                                      const TableAddresses& addresses, uid_t uid);

}  // namespace frsh
