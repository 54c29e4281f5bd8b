// Parses OpenSSH's authorized_keys: the keys that may log in as a user, and their conditions.
//
// A line with options is never read as a key without them. If frsh does not support an option, or
// cannot parse it, the whole line is void, and the reason is logged. Only options about features
// that frsh does not have are ignored.
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

    std::optional<std::string> command;  // The only command that this key may run.
    bool may_have_pty = true;
    // Whether the session may make connections for the client, and listen for it. A key with a
    // command= needs a word of its own: port-forwarding, permitopen, permitlisten.
    std::optional<bool> may_forward = {};
    // "HOST:PORT" of each permitopen= and permitlisten=; if there is one, only these.
    std::vector<std::string> permit_open = {};
    std::vector<std::string> permit_listen = {};
    [[nodiscard]] bool may_connect() const {
        return !is_connecting_closed && may_forward.value_or(!command || !permit_open.empty());
    }
    [[nodiscard]] bool may_listen() const {
        return !is_listening_closed && may_forward.value_or(!command || !permit_listen.empty());
    }
    Presence presence = Presence::Touched;
    std::optional<std::string> from;  // A list of address patterns; see host_pattern.hpp.
    std::optional<std::chrono::system_clock::time_point> expires;
    // Used only if the server permits it (permit_user_environment): some variables make programs
    // run any command.
    std::vector<std::pair<std::string, std::string>> environment;
    // The key is no user's but a certificate authority's (cert-authority). A list of principals, of
    // which a certificate must have one; without the list, it must name the user.
    bool is_authority = false;
    std::optional<std::string> principals = {};
    // Set by the server's own rules, which no word of the line opens again.
    bool is_connecting_closed = false;
    bool is_listening_closed = false;
    bool is_agent_closed = false;
    // Whether the session may lend the client's ssh-agent to its commands.
    std::optional<bool> may_forward_agent = {};
    [[nodiscard]] bool may_have_agent() const {
        return !is_agent_closed && may_forward_agent.value_or(!command);
    }
};

struct AuthorizedKeys {
    std::vector<AuthorizedKey> keys;
    std::vector<std::string> skipped;  // "line 3: unknown option \"tunnel-to\"", printable.
};

// Parses the whole file. Never throws: lines that are void are skipped, with the reason in
// `skipped`.
[[nodiscard]] AuthorizedKeys parse_authorized_keys(std::string_view text);

// Applies options as a line has them in front of its key. Returns why they are void, or nothing.
[[nodiscard]] std::optional<std::string> apply_options(AuthorizedKey& key,
                                                       std::string_view options);

// Returns why this key is refused from that address at this time, or nothing. `address` is numeric;
// empty for a peer without an address, which fails every from=.
[[nodiscard]] std::optional<std::string> find_refusal(const AuthorizedKey& key,
                                                      std::string_view address,
                                                      std::chrono::system_clock::time_point now);

}  // namespace frsh
