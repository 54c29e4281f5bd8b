// The patterns with which OpenSSH's files name hosts: "*", "?", "!" for not, and address blocks.
//
// Addresses are compared as addresses; no name is ever looked up, so a peer's DNS has no say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// "*" is any bytes, "?" is any one. Takes no longer than text times pattern.
[[nodiscard]] bool matches_pattern(std::string_view text, std::string_view pattern);

// What a comma-separated list says of something. One negated match outweighs all others.
enum class ListVerdict { NoMatch, Match, Negated };

// Host names, compared without regard to case.
[[nodiscard]] ListVerdict match_host_list(std::string_view host, std::string_view list);

// Addresses: "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "192.0.2.*". Names never match.
[[nodiscard]] ListVerdict match_address_list(std::string_view address, std::string_view list);

// Why a list cannot be honoured by address alone, or nothing: a block whose bits and length
// disagree, or "!" before a name, which nobody would ever look up to keep out.
[[nodiscard]] std::optional<std::string> find_fault_in_address_list(std::string_view list);

[[nodiscard]] std::string to_lower(std::string_view text);  // ASCII.

}  // namespace frsh
