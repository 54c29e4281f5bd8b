#include "server/listener/login_limits.hpp"

#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace frsh;
using namespace std::chrono_literals;

namespace {

using Rules = LoginLimits::Rules;
using Waiting = LoginLimits::Waiting;

// Two times that differ, so that a case can tell them apart.
Timeouts a_second_for_the_greeting() {
    Timeouts timeouts;
    timeouts.contended_hello = 1s;
    timeouts.contended_answer = 3s;
    return timeouts;
}

struct Slots : LoginLimits {
    Slots() : LoginLimits(a_second_for_the_greeting()) {}

    Time now{};
    pid_t last = 0;

    pid_t enter(const std::string& source, Rules rules = Rules::OfALogin) {
        add(++last, {source, false}, rules, now);
        return last;
    }
    pid_t ask(const std::string& source) {
        const pid_t pid = enter(source);
        advance(pid, LoginStep::Hello, now);
        advance(pid, LoginStep::Pending, now);
        return pid;
    }
    std::set<pid_t> surplus(Waiting waiting) {
        std::set<pid_t> pids;
        for (const Eviction& one : take_evictions(now, waiting))
            pids.insert(one.pid);
        return pids;
    }
};

}  // namespace

TEST_CASE("login limits: 64 logins in all and 8 of one source") {
    Slots slots;
    for (int i = 0; i < 8; ++i) {
        CHECK(slots.may_have_one_more({"crowd", false}));
        slots.enter("crowd");
    }
    CHECK(!slots.may_have_one_more({"crowd", false}));
    CHECK(slots.may_have_one_more({"other", false}));
    for (int i = 8; i < 64; ++i) {
        CHECK(!slots.is_full());
        slots.enter(std::to_string(i));
    }
    CHECK(slots.is_full());
    slots.remove(1);
    CHECK(!slots.is_full());
    CHECK(slots.may_have_one_more({"crowd", false}));
}

TEST_CASE("login limits: a stalled login is evicted only if others wait") {
    Slots slots;
    const pid_t mute = slots.enter("a");
    const pid_t greeted = slots.enter("a");
    const pid_t asked = slots.enter("a");
    const pid_t plain = slots.enter("this machine", Rules::Own);
    slots.advance(greeted, LoginStep::Hello, slots.now);
    slots.advance(asked, LoginStep::Hello, slots.now);
    slots.now += 1s;
    CHECK(slots.surplus(Waiting::No).empty());
    CHECK(slots.surplus(Waiting::Yes) == std::set{mute});
    CHECK(slots.surplus(Waiting::Yes).empty());  // Named once.
    slots.now += 1s;
    slots.advance(asked, LoginStep::Spoken, slots.now);
    slots.now += 1s;
    CHECK(slots.surplus(Waiting::Yes) == std::set{greeted});
    slots.now += 2s;
    CHECK(slots.surplus(Waiting::Yes) == std::set{asked});
    slots.now += 60s;
    CHECK(slots.surplus(Waiting::Yes).empty());
    slots.remove(plain);
}

TEST_CASE("login limits: a login that awaits its user takes no slot of others") {
    Slots slots;
    for (int i = 0; i < 8; ++i)
        slots.ask("office");
    CHECK(slots.may_have_one_more({"office", false}));
    slots.now += 119s;
    CHECK(slots.surplus(Waiting::Yes).empty());
}

TEST_CASE("login limits: too many pending logins evict the busiest source's oldest") {
    Slots slots;
    const pid_t person = slots.ask("person");
    slots.now += 1s;
    const pid_t first = slots.ask("crowd");
    for (int i = 0; i < 7; ++i) {
        slots.now += 1s;
        slots.ask("crowd");
    }
    CHECK(slots.surplus(Waiting::No).empty());
    slots.now += 1s;
    slots.ask("crowd");
    CHECK(slots.surplus(Waiting::No) == std::set{first});
    slots.remove(first);
    // Many sources, some with two logins: a source with two is evicted, a source with one is not.
    for (int i = 0; i < 40; ++i) {
        slots.ask(std::to_string(i));
        slots.ask(std::to_string(i));
    }
    const auto surplus = slots.surplus(Waiting::No);
    CHECK(surplus.size() == 1 + 8 + 80 - 64);
    CHECK(!surplus.contains(person));
}
