#include "common/sys/oom_kills.hpp"

#include <doctest/doctest.h>

TEST_CASE("oom kills: the number is read from each known file format") {
    using frsh::oom_kills_in;
    CHECK(oom_kills_in("low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\noom_group_kill 1\n") == 3);
    CHECK(oom_kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n") == 7);
    CHECK(oom_kills_in("pgfault 1\noom_kill 0\nnuma 2\n") == 0);
    CHECK(oom_kills_in("oom_kill 18446744073709551615\n") == UINT64_MAX);
    for (const char* const text : {"", "oom_kill_disable 1\n", "oom_kill\n", "oom_kill x\n",
                                   "oom_kill -1\n", "oom_kill 1 2\n", "xoom_kill 1\n"}) {
        CHECK_FALSE(oom_kills_in(text));
    }
}

TEST_CASE("oom kills: this kernel has a count that does not fall") {
    const frsh::OomKills kills;
    const auto before = kills.count();
    REQUIRE(before);
    CHECK(*kills.count() >= *before);
}
