// Names a peer that does not speak as frsh does, by the first bytes that it sent. The user may have
// the wrong port, or a proxy may answer in place of the server.
#pragma once

#include <string>
#include <string_view>

namespace frsh {

// Returns what the peer is, with the cause if it gives one: "an SSH server", "a web server or proxy
// (HTTP 502)". Empty if these bytes are of no known kind. `role` is "server" or "client".
[[nodiscard]] std::string kind_of_foreign(std::string_view first, const std::string& role);

// Returns a clause about the peer: "that is an SSH server, not frsh", or what it sent. `first` is
// not empty.
[[nodiscard]] std::string describe_foreign(std::string_view first, const std::string& role);

// Returns true if the bytes may be the beginning of a frame (frame.hpp), so of a frsh.
[[nodiscard]] bool may_be_frame(std::string_view first);

}  // namespace frsh
