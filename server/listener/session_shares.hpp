// SessionShares decides which logins get one of the server's sessions, so that no key, user or
// source can take all of them.
//
//     of all sessions                 at most
//     one user                        1/2
//     one source (peer_source.hpp)    1/2, but each of its users gets a first session
//     one key bound to a command      1/4
//     all bound keys of one user      3/8, so that their owner is never kept out by them
//     users that have one already     7/8 of what is not root's
//     all users but root              15/16
//
// The server's own user (root, or the only user that can log in) has the first two limits only with
// a bound key. Under pressure, sessions are asked to leave if they are idle. The clock is an
// argument.
#pragma once

#include "common/sys/event_loop.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace frsh {

class SessionShares {
  public:
    using Time = EventLoop::Time;
    struct Holder {
        uid_t uid = 0;
        std::string source;
        std::string bound_key;  // Empty for a key without a command.
    };

    // `own` is the server's own user.
    SessionShares(std::size_t most, uid_t own);

    // Sets the number of places. Sessions beyond it stay.
    void limit(std::size_t most);

    // Takes a place for the session. Returns nothing, or why there is none for this holder.
    [[nodiscard]] std::optional<std::string> add(pid_t pid, const Holder& holder);
    void remove(pid_t pid) { sessions_.erase(pid); }

    // Returns the sessions to ask, each at most once a second: those that share a full limit with a
    // login that was refused, or all of the user with the most, while few places are left.
    [[nodiscard]] std::vector<pid_t> take_asked(Time now);

  private:
    struct Entry {
        Holder holder;
        Time asked_at{};
    };
    using Is = std::function<bool(const Holder&)>;
    [[nodiscard]] std::size_t count(const Is& is) const;
    [[nodiscard]] bool is_new(uid_t uid) const;
    [[nodiscard]] std::optional<std::string> find_full_share(const Holder& holder);
    [[nodiscard]] std::optional<uid_t> busiest() const;

    std::size_t most_ = 0;
    uid_t own_;
    std::size_t roots_ = 0;      // Places for the server's own user only.
    std::size_t newcomers_ = 0;  // Further places, for users without a session.
    std::map<pid_t, Entry> sessions_;
    std::vector<Is> asked_;  // Which sessions to ask.
};

}  // namespace frsh
