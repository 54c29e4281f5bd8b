// Decides whether a client may have a forwarded connection, or a port on which the session listens.
#pragma once

#include "common/proto/message.hpp"
#include "server/run/forward_rules.hpp"

#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Returns "HOST:PORT" or the path, for the args of an open of mode `connect` or of a `listen`;
// brackets around an IPv6 address.
[[nodiscard]] std::string place_text(const std::vector<std::string>& place);

// Returns why the client may not have this connection, with the place and the rule; or nothing.
[[nodiscard]] std::optional<NotStarted> forward_refusal(const msg::Open& open,
                                                        const ForwardRules& rules);
// Returns why the session may not listen there for the client, or nothing.
[[nodiscard]] std::optional<std::string> listen_refusal(const msg::Listen& listen,
                                                        const ForwardRules& rules);

}  // namespace frsh
