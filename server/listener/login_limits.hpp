// Limits the connections that have not logged in yet, in total and for each source. Decides which
// of them to evict if others wait for a slot.
//
//     Greeting ──▶ Answering ──▶ AwaitingUser        remove() after any stage, admitted or not
//
// While a connection waits, each stage has a time limit, so that no login keeps a slot by stopping
// half-way. A login that waits for a person (a touch, a passphrase) has more time, and is counted
// apart, so that it takes no slot from the others. The clock is an argument. The listener ends the
// processes.
#pragma once

#include "server/listener/peer_source.hpp"
#include "server/login/login_status.hpp"
#include "server/login/timeouts.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace frsh {

class LoginLimits {
  public:
    using Time = EventLoop::Time;
    explicit LoginLimits(const Timeouts& timeouts)
        : hello_time_(timeouts.contended_hello), answer_time_(timeouts.contended_answer) {}

    static constexpr std::size_t kMost = 64;
    static constexpr std::size_t kMostOfASource = 8;
    static constexpr std::size_t kMostAwaitingUser = 64;
    static constexpr std::size_t kMostAwaitingUserOfASource = 8;

    // Own: a connection on a unix socket or over plain TCP. It takes a slot, but has no limit by
    // source and no time limit.
    enum class Rules { OfALogin, Own };
    void add(pid_t pid, const PeerSource& source, Rules rules, Time now);
    void advance(pid_t pid, LoginStep step, Time now);
    void remove(pid_t pid) { logins_.erase(pid); }

    [[nodiscard]] bool is_full() const;
    [[nodiscard]] bool may_have_one_more(const PeerSource& source) const;

    enum class Waiting { No, Yes };
    struct Eviction {
        pid_t pid;
        const char* why;
    };
    // Returns the logins to end, each once. A login keeps its slot until remove().
    [[nodiscard]] std::vector<Eviction> take_evictions(Time now, Waiting waiting);

  private:
    enum class Stage { Greeting, Answering, AwaitingUser };
    struct Login {
        PeerSource source;
        Rules rules;
        Stage stage = Stage::Greeting;
        Time since;  // The time of the last step.
        bool is_evicted = false;
    };
    using Counts = std::map<std::string, std::size_t>;
    [[nodiscard]] Counts count_awaiting_user() const;
    Login* find_oldest_awaiting_user(const std::string& source, pid_t& pid);

    std::chrono::milliseconds hello_time_;
    std::chrono::milliseconds answer_time_;
    std::map<pid_t, Login> logins_;
};

}  // namespace frsh
