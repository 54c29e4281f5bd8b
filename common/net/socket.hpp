// The calls that make a connection, in the order in which they happen: socket, bind, listen and
// accept on the server; socket and connect on the client. socket.cpp is written to be read as a
// lesson about them.
#pragma once

#include "common/net/address.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/wait.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

// Returns a listening socket, close-on-exec and non-blocking. Throws UserError, for some errors
// with advice ("port 80: Permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)").
[[nodiscard]] Fd listen_tcp(const Address& address);

// Returns a listening unix socket. Its file gets mode 0600; its folder must exist. If the file is
// there already and no server listens on it, it is replaced. Throws UserError if a server listens.
[[nodiscard]] Fd listen_unix(const std::string& path);

// Accepts one connection. Returns nothing if none waits, or if it failed before it was accepted.
// Throws SysError if the kernel has no descriptor or no memory (EMFILE, ENFILE, ENOBUFS, ENOMEM).
std::optional<Fd> accept_connection(int listening);

// Starts to connect, from the local address `own` if it is not null. Never blocks. Throws SysError
// ("connect 127.0.0.1:7722: ...").
[[nodiscard]] Fd begin_connect(const Address& address, const Address* own = nullptr);
// Blocks until the connection is made, at most up to `limit`. Throws SysError or WaitCanceled.
void finish_connect(int socket, const Address& address, const WaitLimit& limit);
// Calls begin_connect() and finish_connect().
[[nodiscard]] Fd connect_tcp(const Address& address, const WaitLimit& limit);
// Connects to a unix socket. Blocks while the server's accept queue is full, at most up to `limit`.
// Throws SysError or WaitCanceled.
[[nodiscard]] Fd connect_unix(const std::string& path, const WaitLimit& limit);

// When a silent peer counts as dead: after `count` intervals without an answer from its kernel.
struct KeepAlive {
    std::chrono::seconds interval{15};
    unsigned count = 3;
};
// Turns Nagle's algorithm off and keeps the kernel's send queue short, so that control frames do
// not wait there behind data. Turns on keepalive probes (tcp(7)). Throws SysError.
void tune_tcp(int socket, const KeepAlive& keep_alive = {});

// Returns true if the peer's kernel has not acknowledged sent bytes for as long as `keep_alive`
// allows: its machine is gone. If only its program is stopped, its kernel still acknowledges.
// Keepalive does not cover this case: Linux sends no probes while data is unacknowledged.
[[nodiscard]] bool is_peer_silent(int socket, const KeepAlive& keep_alive = {});
// The rule of is_peer_silent(), without the socket. `unanswered` counts segments.
[[nodiscard]] bool is_silence(unsigned unanswered, std::chrono::milliseconds since_last_answer,
                              const KeepAlive& keep_alive = {});

// Returns the uid of the process that connected or bound the other end, at that time (unix(7),
// SO_PEERCRED). Throws SysError.
[[nodiscard]] uid_t peer_uid(int unix_socket);

}  // namespace frsh
