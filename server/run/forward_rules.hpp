// ForwardRules says which connections a session may make for its client, and where it may listen.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Which ways of forwarding frshd.toml permits: connections for the client (-L, -D, -W and jump
// hosts), ports of the server (-R), both, or neither.
enum class Forwarding { None, Local, Remote, All };

struct ForwardRules {
    // From the client's key. A key with command= needs a word of its own in authorized_keys.
    bool key_may_connect = true;
    bool key_may_listen = true;
    bool key_may_have_agent = true;
    // "HOST:PORT", or a path. HOST and PORT may be "*". If set, only these; hosts are compared as
    // the client sent them. The first is permitopen=, the second permitlisten=.
    std::optional<std::vector<std::string>> key_permit_open = {};
    std::optional<std::vector<std::string>> key_permit_listen = {};
    // From frshd.toml: forwarding, permit_open, permit_listen.
    bool server_may_connect = true;
    bool server_may_listen = true;
    bool server_may_have_agent = true;
    std::optional<std::vector<std::string>> server_permit_open = {};
    std::optional<std::vector<std::string>> server_permit_listen = {};
};

}  // namespace frsh
