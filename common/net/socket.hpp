// The calls that make a connection, in the order in which they happen: socket, bind, listen and
// accept on the server; socket and connect on the client. socket.cpp is written to be read as a
// lesson about them.
#pragma once

#include "common/net/address.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

// A listening socket, close-on-exec and non-blocking. Throws UserError with advice where there is
// some ("port 80: Permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)").
[[nodiscard]] Fd listen_tcp(const Address& address);

// The same on a path. A socket file that nobody listens on any more is replaced; one that somebody
// does is an error. The folder is the caller's business; the file gets mode 0600.
[[nodiscard]] Fd listen_unix(const std::string& path);

// One connection, or nothing: none is waiting, or it was gone again before we came. Throws SysError
// where the kernel has no descriptor or memory to give (EMFILE, ENFILE, ENOBUFS, ENOMEM).
std::optional<Fd> accept_connection(int listening);

// Begins to connect, from `own` where there is one, and does not wait. Both throw SysError
// ("connect 127.0.0.1:7722": ...).
[[nodiscard]] Fd begin_connect(const Address& address, const Address* own = nullptr);
// Blocks until that has ended, or until `deadline`.
void finish_connect(int socket, const Address& address, EventLoop::Time deadline);
// The two of them.
[[nodiscard]] Fd connect_tcp(const Address& address, EventLoop::Time deadline);
// Throws SysError.
[[nodiscard]] Fd connect_unix(const std::string& path);

// Control frames must not wait in the kernel either: Nagle's algorithm off, a short send queue.
// And the kernel asks a silent peer's kernel whether it is still there.
struct KeepAlive {
    std::chrono::seconds interval{15};
    unsigned count = 3;  // So many intervals without a word: dead.
};
void tune_tcp(int socket, const KeepAlive& keep_alive = {});

// The peer's kernel has left our bytes unanswered for as long as `keep_alive` says. That is how a
// machine that is gone is told from a program that is stopped, whose kernel still answers.
// Keepalive alone does not see it, since it waits while there are bytes to be sent.
[[nodiscard]] bool is_peer_silent(int socket, const KeepAlive& keep_alive = {});
// The rule: so many segments unanswered, and so long since the last answer.
[[nodiscard]] bool is_silence(unsigned unanswered, std::chrono::milliseconds since_last_answer,
                              const KeepAlive& keep_alive = {});

// The uid of the process that connected, or bound, the other end, as the kernel noted it then.
[[nodiscard]] uid_t peer_uid(int unix_socket);

}  // namespace frsh
