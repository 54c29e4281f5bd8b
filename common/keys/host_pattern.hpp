// The patterns of OpenSSH's files for hosts: "*", "?", "!" for negation, and address blocks.
//
// Addresses are compared as numbers. No name is looked up, so a peer's DNS has no influence.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// "*" matches any bytes, "?" matches one. Takes time O(size of text × size of pattern).
[[nodiscard]] bool matches_pattern(std::string_view text, std::string_view pattern);

// The result of matching a comma-separated list. One negated match outweighs all others.
enum class ListVerdict { NoMatch, Match, Negated };

// Matches host names. The case of letters does not matter.
[[nodiscard]] ListVerdict match_host_list(std::string_view host, std::string_view list);

// Matches addresses: "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "192.0.2.*". Names never match.
[[nodiscard]] ListVerdict match_address_list(std::string_view address, std::string_view list);

// Returns why a list cannot be applied to addresses; nothing if it can. Faults are a block with
// bits beyond its length, and "!" before a name, since no name is looked up.
[[nodiscard]] std::optional<std::string> find_fault_in_address_list(std::string_view list);

[[nodiscard]] std::string to_lower(std::string_view text);  // ASCII.

}  // namespace frsh
