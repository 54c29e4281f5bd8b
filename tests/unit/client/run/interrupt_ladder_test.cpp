#include "client/run/interrupt_ladder.hpp"

#include <csignal>

#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using frsh::EventLoop;
using frsh::InterruptLadder;
using Step = InterruptLadder::Step;

constexpr EventLoop::Time kStart{};

TEST_CASE("interrupt ladder: three SIGINTs interrupt, terminate and kill") {
    InterruptLadder ladder;
    CHECK(!ladder.has_begun());
    CHECK((ladder.on_signal(SIGINT, kStart) == Step::Interrupt));
    CHECK(ladder.has_begun());
    CHECK((ladder.on_signal(SIGINT, kStart) == Step::Terminate));
    CHECK((ladder.leave_at() == EventLoop::kNever));
    CHECK((ladder.on_signal(SIGINT, kStart + 5s) == Step::Kill));
    CHECK((ladder.leave_at() == kStart + 5s + frsh::kLeaveGracePeriod));
}

TEST_CASE("interrupt ladder: a fourth SIGINT kills again and leaves without waiting") {
    InterruptLadder ladder;
    for (int i = 0; i < 3; ++i)
        (void)ladder.on_signal(SIGINT, kStart);
    CHECK((ladder.on_signal(SIGINT, kStart + 1s) == Step::Kill));
    CHECK((ladder.leave_at() == kStart + 1s));
    CHECK((ladder.on_signal(SIGINT, kStart + 9s) == Step::Kill));
    CHECK((ladder.leave_at() == kStart + 1s));
}

TEST_CASE("interrupt ladder: a signal other than SIGINT leaves at once, in every state") {
    for (const int number : {SIGTERM, SIGHUP}) {
        InterruptLadder ladder;
        for (int i = 0; i < 5; ++i) {
            CHECK((ladder.on_signal(number, kStart) == Step::Leave));
            (void)ladder.on_signal(SIGINT, kStart);
        }
    }
}

}  // namespace
