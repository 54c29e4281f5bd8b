// Where to listen or connect: "7722", "127.0.0.1:7722", "[::1]:7722", "localhost:7722".
#pragma once

#include "common/sys/wait.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

namespace frsh {

inline constexpr unsigned kDefaultPort = 7722;

struct HostPort {
    std::string host;
    unsigned port = kDefaultPort;
};

// Parses "HOST", "HOST:PORT", "[V6]:PORT" or a bare V6 address. If `bare_port` is Allowed, "PORT"
// is accepted, too, and the host is `default_host`. Throws UserError.
enum class BarePort { Refused, Allowed };
[[nodiscard]] HostPort parse_host_port(std::string_view text, BarePort bare_port,
                                       const std::string& default_host = "",
                                       unsigned default_port = kDefaultPort);

// One socket address, in the form that the kernel takes.
struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] int family() const { return storage.ss_family; }
    [[nodiscard]] unsigned port() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] std::string text() const;  // "127.0.0.1:7722", "[::1]:7722"
    // Returns the address without port and brackets. An IPv4-mapped IPv6 address (RFC 4291,
    // 2.5.5.2) is printed as IPv4.
    [[nodiscard]] std::string host_text() const;
};

// Returns what getaddrinfo(3) finds, in the order in which to try it. `passive`: addresses to
// listen on. Blocks while names are looked up. Throws UserError.
[[nodiscard]] std::vector<Address> resolve(const HostPort& where, bool passive);

// Looks up addresses to connect to, of one family (AF_INET, AF_INET6) or of any (AF_UNSPEC). Blocks
// up to `limit`; a cancellation takes effect within 100 ms. Throws UserError ("Could not resolve
// hostname box: ...") or WaitCanceled.
[[nodiscard]] std::vector<Address> look_up(const HostPort& where, int family,
                                           const WaitLimit& limit);

[[nodiscard]] Address local_address(int socket);
[[nodiscard]] Address peer_address(int socket);

}  // namespace frsh
