// Counts connections by source, and keeps the penalties of each source.
//
// A source is an IPv4 address, the /64 of an IPv6 address, or on loopback the uid of the peer: all
// users of a machine share its loopback addresses, and each can use any number of them.
#pragma once

#include "common/sys/event_loop.hpp"

#include <map>
#include <optional>
#include <string>

namespace frsh {

struct PeerSource {
    std::string name;          // "192.0.2.1", "2001:db8:0:1::/64", "uid 1000"
    bool is_loopback = false;  // Never penalised: it would shut out everything on this machine.
};
[[nodiscard]] PeerSource peer_source_of(int tcp_socket);

// Time that a source has to stay away, as sshd's PerSourcePenalties: small sums are forgiven, and
// nothing counts for ever.
class Penalties {
  public:
    using Time = EventLoop::Time;

    void add(const std::string& source, std::chrono::seconds penalty, Time now);
    // How long this source still has to wait, or nothing.
    [[nodiscard]] std::optional<std::chrono::seconds> find(const std::string& source, Time now);

  private:
    struct Account {
        Time until;
        bool is_enforced = false;  // Once it was worth it, until it is over.
    };
    std::map<std::string, Account> accounts_;
};

}  // namespace frsh
