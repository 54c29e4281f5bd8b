// Listens where a forwarding asks for it: one name may stand for several addresses.
#pragma once

#include "common/sys/fd.hpp"

#include <string>
#include <vector>

namespace frsh {

// Names: looks names up, which blocks. Numbers: takes only addresses, and the names below.
enum class ListenHost { Names, Numbers };

// Returns listening sockets, all on the same port; `port` 0 is a free one. "localhost" stands for
// both loopbacks, "" and "*" for all addresses of both families; a family that this machine lacks
// is left out. Throws UserError or SysError if one of the addresses cannot be had.
[[nodiscard]] std::vector<Fd> listen_at(const std::string& host, unsigned port, ListenHost allowed);

// Returns a socket as listen_unix() does. If `unlinks` is Yes, a socket file is removed first, even
// if a server listens there.
// `mask` is what the socket's mode 0666 lacks: StreamLocalBindMask of ssh_config(5).
enum class UnlinksSocket { No, Yes };
inline constexpr unsigned kUsualSocketMask = 0177;
[[nodiscard]] Fd listen_at_path(const std::string& path, UnlinksSocket unlinks,
                                unsigned mask = kUsualSocketMask);

// Makes close(2) of this socket send a RST, or what is left and a FIN. A connection is reset unless
// it is known to have ended well: then the end of the process, however it comes, is no clean end.
enum class AtClose { Reset, Finish };
void at_close(int socket, AtClose how);

}  // namespace frsh
