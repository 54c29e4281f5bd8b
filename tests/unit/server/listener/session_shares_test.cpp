#include "server/listener/session_shares.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using frsh::SessionShares;

namespace {

using namespace std::chrono_literals;

constexpr uid_t kServerUid = 0;

// Adds sessions of this holder until one is refused, and returns how many there are.
std::size_t fill(SessionShares& shares, const SessionShares::Holder& holder, pid_t first) {
    std::size_t count = 0;
    while (!shares.add(first + static_cast<pid_t>(count), holder))
        ++count;
    return count;
}

}  // namespace

TEST_CASE("session shares: nobody but root takes all sessions, whatever the order") {
    for (const std::size_t most :
         {std::size_t{4}, std::size_t{8}, std::size_t{64}, std::size_t{4096}}) {
        CAPTURE(most);
        SessionShares shares(most, kServerUid);
        CHECK(fill(shares, {1, "a", "key"}, 10'000) == most / 4);
        CHECK(fill(shares, {1, "a", ""}, 20'000) == most / 2 - most / 4);
        std::size_t taken = most / 2;
        for (uid_t uid = 2; uid < 10'000; ++uid) {
            const auto more = fill(shares, {uid, "b" + std::to_string(uid), ""},
                                   static_cast<pid_t>(100'000 * uid));
            if (more == 0) break;
            taken += more;
        }
        CHECK(taken < most);
        CHECK(fill(shares, {kServerUid, "a", ""}, 30'000) == most - taken);
    }
}

TEST_CASE("session shares: bound keys never keep their owner out, also on the owner's server") {
    SessionShares shares(64, 1000);
    std::size_t bound = 0;
    for (int key = 0; key < 10; ++key)
        bound += fill(shares, {1000, "a", std::to_string(key)}, 1000 * (key + 1));
    CHECK(bound == 24);
    CHECK(fill(shares, {1000, "a", ""}, 50'000) == 40);
}

TEST_CASE("session shares: a full source lets each of its users in once") {
    SessionShares shares(64, kServerUid);
    CHECK(fill(shares, {1, "a", ""}, 1000) == 32);
    CHECK_FALSE(shares.add(1, {2, "a", ""}));
    CHECK(shares.add(2, {2, "a", ""}).value() == "a has 32 sessions already");
    CHECK_FALSE(shares.add(3, {2, "b", ""}));
}

TEST_CASE("session shares: a refusal asks the sessions of the full share, once a second") {
    SessionShares shares(8, kServerUid);
    const auto now = frsh::EventLoop::Clock::now();
    CHECK(fill(shares, {1, "a", "key"}, 10) == 2);
    CHECK_FALSE(shares.add(20, {1, "a", ""}));
    CHECK(shares.take_asked(now) == std::vector<pid_t>{10, 11});
    CHECK(shares.take_asked(now + 2s).empty());
    CHECK(shares.add(12, {1, "a", "key"}));
    CHECK(shares.take_asked(now + 500ms).empty());
    CHECK(shares.add(12, {1, "a", "key"}));
    CHECK(shares.take_asked(now + 2s) == std::vector<pid_t>{10, 11});
    shares.remove(10);
    CHECK_FALSE(shares.add(12, {1, "a", "key"}));
}

TEST_CASE("session shares: a server of very few sessions uses all of them") {
    for (const std::size_t most : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
        SessionShares shares(most, kServerUid);
        CHECK(fill(shares, {kServerUid, "a", ""}, 10) == most);
    }
}
