// Hosts as they are written before a port: an IPv6 address is in brackets (RFC 3986, 3.2.2).
#pragma once

#include <string>
#include <string_view>

namespace frsh {

// Returns "[::1]" for "::1", and a host without a colon unchanged.
[[nodiscard]] inline std::string in_brackets(std::string_view host) {
    if (host.find(':') == std::string_view::npos) return std::string(host);
    return std::string("[").append(host).append("]");
}

}  // namespace frsh
