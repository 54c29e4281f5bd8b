// How a target is reached, and as whom: one plain struct that everybody fills in who has a say.
//
// The order is who comes first: the command line, the words of the target, frsh's own
// configuration, ssh's. Nobody overwrites what was said before him, and what nobody has said is
// told from what somebody has: the built-in values come last, where the settings are used.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// How long to wait for somebody who holds a stream open after the command has ended.
struct Linger {
    std::optional<std::chrono::milliseconds> time;  // Nothing: for ever.
};

struct ConnectionSettings {
    std::string address;                  // What to look up; empty: the target's own name.
    unsigned port = 0;                    // 0: not said.
    std::string user;                     // Empty: not said.
    std::vector<std::string> identities;  // Key files; empty: the usual ones.
    std::string via;                      // The command whose stdin and stdout are the connection.
    std::optional<bool> accept_new;
    std::optional<std::chrono::milliseconds> connect_timeout;
    std::optional<Linger> linger;
};

inline constexpr std::chrono::milliseconds kDefaultConnectTimeout{10'000};

// Takes over from `more` what `settings` does not say. A list is one thing: it is taken whole.
void fill_in(ConnectionSettings& settings, const ConnectionSettings& more);

}  // namespace frsh
