// Asks the machine's sshd which settings one login has.
//
// sshd itself evaluates its files: `sshd -T -C user=…,addr=…` prints the settings. It is asked only
// if a line of the files could decide about a login, because the answer takes about 20 ms.
#pragma once

#include "common/sys/user.hpp"
#include "server/login/sshd_policy.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace frsh {

// What sshd's rules can see of a connection.
struct SshdConnection {
    std::string address = {};  // The peer's, numeric; empty if it has none.
    std::string local_address = {};
    unsigned local_port = 0;          // 0: none.
    std::string routing_domain = {};  // The VRF that the socket is bound to; empty: none.
};
[[nodiscard]] SshdConnection sshd_connection_of(int socket);

struct SshdAnswer {
    std::optional<SshdPolicy> policy = {};    // Nothing: there is no sshd, or nothing to obey.
    std::optional<std::string> failure = {};  // Set: sshd did not answer. Refuse the login.
};
// Blocks up to `timeout` for sshd, and as long for the name of the peer if a rule needs it.
// `host_key` is a file that lets sshd answer on a machine without host keys of its own.
[[nodiscard]] SshdAnswer ask_sshd(const User& user, const SshdConnection& connection,
                                  const std::string& host_key,
                                  std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace frsh
