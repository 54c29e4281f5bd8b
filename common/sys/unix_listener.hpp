// Finds the user that listens on a unix socket, without a connection to it.
#pragma once

#include <optional>
#include <string_view>

#include <sys/types.h>

namespace frsh {

// Returns the user that listens on the abstract name (unix(7); without its leading NUL byte), as
// the kernel reports it (sock_diag(7)). Returns nothing if no socket listens there, or if the
// kernel does not tell: it does since Linux 5.3. Does not block.
[[nodiscard]] std::optional<uid_t> owner_of_abstract_listener(std::string_view name);

}  // namespace frsh
