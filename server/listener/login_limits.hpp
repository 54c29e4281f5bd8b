// Who is on the way to a login: how many may be so at once, in all and of one source, and who has
// to go because others wait for the place.
//
//     Greeting ──▶ Answering ──▶ AwaitingUser        and out of here, admitted or not
//
// Nobody gets a place for ever by stopping half-way: while somebody waits, each stage has its time.
// Only a person who is asked for a touch or a passphrase has more, and is counted apart, so that he
// keeps nobody waiting. The clock is an argument; to end a process is the listener's part.
#pragma once

#include "server/listener/peer_source.hpp"
#include "server/login/login_status.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace frsh {

class LoginLimits {
  public:
    using Time = EventLoop::Time;
    static constexpr std::size_t kMost = 64;
    static constexpr std::size_t kMostOfASource = 8;
    static constexpr std::size_t kMostAsking = 64;
    static constexpr std::size_t kMostAskingOfASource = 8;

    // Who waits by rules of his own, and shares nothing but the number of places: one on a unix
    // socket, or one who speaks plain TCP.
    enum class Rules { OfALogin, Own };
    void add(pid_t pid, const PeerSource& source, Rules rules, Time now);
    void advance(pid_t pid, LoginStep step, Time now);
    void remove(pid_t pid) { logins_.erase(pid); }

    [[nodiscard]] bool is_full() const;
    [[nodiscard]] bool may_have_one_more(const PeerSource& source) const;

    enum class Waiting { Nobody, Somebody };
    struct Eviction {
        pid_t pid;
        const char* why;
    };
    // Each is named once; he keeps his place until he is removed.
    [[nodiscard]] std::vector<Eviction> take_surplus(Time now, Waiting waiting);

  private:
    enum class Stage { Greeting, Answering, AwaitingUser };
    struct Login {
        PeerSource source;
        Rules rules;
        Stage stage = Stage::Greeting;
        Time since;  // The last step.
        bool is_surplus = false;
    };
    using Counts = std::map<std::string, std::size_t>;
    [[nodiscard]] Counts count_asking() const;
    Login* find_oldest_asking(const std::string& source, pid_t& pid);

    std::map<pid_t, Login> logins_;
};

}  // namespace frsh
