// Where to listen or connect: "7722", "127.0.0.1:7722", "[::1]:7722", "localhost:7722".
#pragma once

#include <chrono>
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

// "HOST", "HOST:PORT", "[V6]:PORT", a bare V6 address, and with `bare_port` also "PORT" (the host
// is `default_host` then). Throws UserError.
enum class BarePort { Refused, Allowed };
[[nodiscard]] HostPort parse_host_port(std::string_view text, BarePort bare_port,
                                       const std::string& default_host = "",
                                       unsigned default_port = kDefaultPort);

// One socket address, as the kernel takes it.
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
    // Without port and brackets; an IPv4 address in IPv6's clothes is an IPv4 address.
    [[nodiscard]] std::string host_text() const;
};

// getaddrinfo(3), in the order to be tried. Blocks while names are looked up. Throws UserError.
[[nodiscard]] std::vector<Address> resolve(const HostPort& where, bool passive);

// The same to connect to, but for `deadline`, and of one family (AF_INET, AF_INET6) or of any
// (AF_UNSPEC). Throws UserError ("Could not resolve hostname box: ...").
[[nodiscard]] std::vector<Address> look_up(const HostPort& where, int family,
                                           std::chrono::steady_clock::time_point deadline);

[[nodiscard]] Address local_address(int socket);
[[nodiscard]] Address peer_address(int socket);

}  // namespace frsh
