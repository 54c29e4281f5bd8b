// One forwarding as -L and -D request it: where this client listens, and to what the server
// connects. The text is checked before anything is connected.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace frsh {

struct ForwardSpec {
    enum class Kind { Local, Dynamic };

    Kind kind = Kind::Local;
    std::optional<std::string> bind;  // The address to listen on; empty or "*": all addresses.
    unsigned port = 0;                // The port to listen on; 0: a free one.
    std::string path;                 // If not empty: the unix socket to listen on.
    std::vector<std::string> to;      // Local: a host and a port, or the path of a unix socket.
    bool operator==(const ForwardSpec&) const = default;
};

// Returns "HOST:PORT" or the path; brackets around an IPv6 address.
[[nodiscard]] std::string destination_text(const std::vector<std::string>& to);

// Parses "[BIND:]PORT:HOST:HOSTPORT" (Local) or "[BIND:]PORT" (Dynamic). An address with colons has
// brackets. A part that begins with a slash is the path of a unix socket. Returns a text for the
// user if `text` is malformed.
[[nodiscard]] std::variant<ForwardSpec, std::string> parse_forward(ForwardSpec::Kind kind,
                                                                   std::string_view text);

// Parses "L TEXT" or "D TEXT", the form of config.toml and of ConnectionSettings::forwards.
[[nodiscard]] std::variant<ForwardSpec, std::string> parse_forward(std::string_view text);

// Appends a forwarding in that form. `parts` are joined by colons, as ssh_config(5) separates them
// by a blank. Returns the reason for a refusal.
std::optional<std::string> add_forward(std::vector<std::string>& forwards, ForwardSpec::Kind kind,
                                       const std::vector<std::string>& parts);

}  // namespace frsh
