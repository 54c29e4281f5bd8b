// Names of hosts and users: ssh:// URIs, ssh's %-tokens, and which names are safe for a shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

inline constexpr std::string_view kSshScheme = "ssh://";

// "ssh://[user@]host[:port]", with its %XX escapes decoded.
struct SshUri {
    std::optional<std::string> user;
    std::string host;
    std::optional<unsigned> port;
};
// Returns nothing for another text, for a path behind the host, and for an escaped NUL.
[[nodiscard]] std::optional<SshUri> parse_ssh_uri(std::string_view text);

// The values of ssh's %-tokens: {'h', "example.org"} for "%h".
using SshTokens = std::vector<std::pair<char, std::string>>;
// Replaces each token by its value, and "%%" by "%". Returns nothing if a token is unknown.
[[nodiscard]] std::optional<std::string> expand_tokens(std::string_view text,
                                                       const SshTokens& tokens);

// Returns true for a name that can do no harm on a shell's command line, where ProxyCommand and
// `Match exec` put it. Callers of ssh pass on names that they did not check (CVE-2023-51385,
// CVE-2025-61984, CVE-2017-1000117): so each name is checked wherever it comes from.
[[nodiscard]] bool is_safe_host(std::string_view host);
// As is_safe_host(). A domain before the name ("AD\\user") and a "$" at its end are usual.
[[nodiscard]] bool is_safe_user(std::string_view user);

// Throw UserError for a name that is not safe.
void require_safe_host(std::string_view host);
void require_safe_user(std::string_view user);

}  // namespace frsh
