// From a target to a connection: a socket, or a server that we start as our child.
#pragma once

#include "client/options.hpp"
#include "common/net/transport.hpp"
#include "common/sys/process.hpp"

#include <memory>
#include <optional>
#include <string>

namespace frsh {

struct Connection {
    std::unique_ptr<Transport> transport;
    std::optional<Spawned> child;  // The server, or --via's command; ends when the connection does.
};

// Throws UserError or SysError, ready to be shown.
[[nodiscard]] Connection connect_to(const ClientOptions& options);

}  // namespace frsh
