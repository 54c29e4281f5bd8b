// The destination of -W: stdin and stdout of this client are a connection to it.
//
// ConnectionSettings::forwards holds it as "W TEXT", beside which no other forwarding counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace frsh {

// Parses "HOST:PORT", "[V6]:PORT" or the path of a unix socket. Returns a text for the user if
// `text` is malformed.
[[nodiscard]] std::variant<std::vector<std::string>, std::string> parse_stdio_forward(
    std::string_view text);

// Returns true for an entry of ConnectionSettings::forwards that is one of -W.
[[nodiscard]] inline bool is_stdio_forward(std::string_view forward) {
    return forward.starts_with("W ");
}

// Returns the destination of the first entry of -W, or nothing.
[[nodiscard]] std::optional<std::vector<std::string>> stdio_destination(
    const std::vector<std::string>& forwards);

}  // namespace frsh
