// Counts connections by source, and keeps the penalties of each source.
//
// A source is an IPv4 address, the /64 of an IPv6 address, or on loopback the uid of the peer: all
// users of a machine share its loopback addresses, and each can use any number of them.
#pragma once

#include "common/sys/event_loop.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace frsh {

struct PeerSource {
    std::string name;  // "192.0.2.1", "2001:db8:0:1::/64", "uid 1000"
    // Never penalised: its address is in penalty_exempt, or it is loopback, where a penalty would
    // also hit honest local clients.
    bool is_exempt = false;
};
[[nodiscard]] PeerSource peer_source_of(int tcp_socket);

// How long each source is refused, as in sshd's PerSourcePenalties. Penalties add up and expire. A
// source is refused only once its sum reaches a threshold.
class Penalties {
  public:
    using Time = EventLoop::Time;

    void add(const std::string& source, std::chrono::seconds penalty, Time now);
    // Returns how long this source is still refused; nothing if it is not.
    [[nodiscard]] std::optional<std::chrono::seconds> find(const std::string& source, Time now);
    // A refused source may still try one login a second, so that an authorized key gets in beside
    // the failures of others at the same address. Returns false if it may not now.
    [[nodiscard]] bool take_trial(const std::string& source, Time now);

  private:
    struct Account {
        Time until;
        bool is_enforced = false;  // The sum has reached the threshold and has not expired yet.
        Time next_trial{};
    };
    std::map<std::string, Account> accounts_;
};

}  // namespace frsh
