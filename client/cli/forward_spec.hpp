// One forwarding as -L, -D and -R request it: where one side listens, and to what the other
// connects. The text is checked before anything is connected.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace frsh {

struct ForwardSpec {
    enum class Kind {
        Local,    // -L: this client listens, the server connects.
        Dynamic,  // -D: this client listens, and a SOCKS request names where the server connects.
        Remote,   // -R: the server listens, this client connects; without `to`, by SOCKS requests.
    };

    Kind kind = Kind::Local;
    std::optional<std::string> bind;  // The address to listen on; empty or "*": all addresses.
    unsigned port = 0;                // The port to listen on; 0: a free one.
    std::string path;                 // If not empty: the unix socket to listen on.
    std::vector<std::string> to;      // A host and a port, the path of a unix socket, or nothing.
    bool operator==(const ForwardSpec&) const = default;
};

// Returns "HOST:PORT" or the path; brackets around an IPv6 address.
[[nodiscard]] std::string destination_text(const std::vector<std::string>& to);

// Returns "-L", "-D" or "-R".
[[nodiscard]] const char* option_of(ForwardSpec::Kind kind);

// Parses "[BIND:]PORT:HOST:HOSTPORT" or "[BIND:]PORT"; Remote may be both. An address with colons
// has brackets. A part that begins with a slash is the path of a unix socket. Returns a text for
// the user if `text` is malformed.
[[nodiscard]] std::variant<ForwardSpec, std::string> parse_forward(ForwardSpec::Kind kind,
                                                                   std::string_view text);

// Parses "L TEXT", "D TEXT" or "R TEXT", the form of config.toml and of
// ConnectionSettings::forwards.
[[nodiscard]] std::variant<ForwardSpec, std::string> parse_forward(std::string_view text);

// Appends a forwarding in that form. `parts` are joined by colons, as ssh_config(5) separates them
// by a blank. Returns the reason for a refusal.
std::optional<std::string> add_forward(std::vector<std::string>& forwards, ForwardSpec::Kind kind,
                                       const std::vector<std::string>& parts);

}  // namespace frsh
