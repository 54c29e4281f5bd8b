// Which keys may log in as a user, and under which conditions: OpenSSH's authorized_keys.
//
// One rule is above all others: a line with options is never read as a key without them. An option
// that frsh does not know, cannot honour or cannot parse makes the whole line void, with a reason
// for the log; only what restricts things that frsh does not have at all is passed over.
#pragma once

#include "common/keys/ssh_key.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

inline constexpr std::size_t kMaxAuthorizedKeys = std::size_t{1} << 20;
inline constexpr std::size_t kMaxAuthorizedLine = std::size_t{16} * 1024;

struct AuthorizedKey {
    PublicKey key;
    std::string comment;
    std::size_t line = 0;  // Counted from 1.

    std::optional<std::string> command;  // Run this, whatever is asked for.
    bool may_have_pty = true;
    Presence presence = Presence::Touched;
    std::optional<std::string> from;  // Addresses, as host_pattern.hpp reads them.
    std::optional<std::chrono::system_clock::time_point> expires;
    // Only for a server that was told to allow it: a variable can be as good as a command.
    std::vector<std::pair<std::string, std::string>> environment;
};

struct AuthorizedKeys {
    std::vector<AuthorizedKey> keys;
    std::vector<std::string> skipped;  // "line 3: unknown option \"tunnel-to\"", printable.
};

// Never throws: what cannot be read is skipped, and said.
[[nodiscard]] AuthorizedKeys parse_authorized_keys(std::string_view text);

// Returns why this key is refused from that address at this time, or nothing. `address` is numeric;
// empty for a peer without an address, which fails every from=.
[[nodiscard]] std::optional<std::string> find_refusal(const AuthorizedKey& key,
                                                      std::string_view address,
                                                      std::chrono::system_clock::time_point now);

}  // namespace frsh
