// The name of a peer, as sshd has it with `UseDNS yes`.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace frsh {

// Returns the name of a numeric address in lower case; the address itself if it has no name, or if
// the name does not lead back to the address. Blocks up to `timeout`; returns nothing then.
[[nodiscard]] std::optional<std::string> find_peer_name(const std::string& address,
                                                        std::chrono::milliseconds timeout);

}  // namespace frsh
