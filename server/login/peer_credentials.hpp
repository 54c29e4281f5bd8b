// Admits peers without a key: only processes of this user, as the kernel reports.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace frsh {

// A unix socket: the peer's uid must be ours. Why it may not come in, in words, or nothing.
[[nodiscard]] std::optional<std::string> refuse_unix_peer(int socket);

// Plain TCP on loopback: the kernel's table of sockets must show the peer's own end, established,
// still held by a process (a non-zero inode) and with our uid, exactly once. Everything else is
// refused: a socket that was closed lingers in the table with uid 0, which would let a stranger
// into a root server.
[[nodiscard]] std::optional<std::string> refuse_plaintext_peer(int socket);

// The judgement itself, on the text of /proc/net/tcp and /proc/net/tcp6. `peer` and `own` are
// addresses as such a table prints them: "0100007F:1F90", and the same for tcp6.
struct TableAddresses {
    std::string v4_peer, v4_own;  // Empty for IPv6 connections.
    std::string v6_peer, v6_own;  // Mapped, for IPv4 connections.
};
[[nodiscard]] std::optional<std::string> judge_tables(std::string_view tcp, std::string_view tcp6,
                                                      const TableAddresses& addresses, uid_t uid);

}  // namespace frsh
