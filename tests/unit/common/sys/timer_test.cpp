#include "common/sys/timer.hpp"

#include "common/sys/event_loop.hpp"

#include <chrono>
#include <memory>

#include <doctest/doctest.h>

using frsh::EventLoop;
using frsh::Timer;
using namespace std::chrono_literals;

namespace {

// Runs the loop until `count` reaches `wanted`. The limit only ends a test that would hang.
void run_until(EventLoop& loop, const int& count, int wanted) {
    const auto limit = EventLoop::Clock::now() + 20s;
    while (count < wanted && EventLoop::Clock::now() < limit)
        loop.run_once(limit);
}

}  // namespace

TEST_CASE("a timer is off until a time is set") {
    EventLoop loop;
    int count = 0;
    const Timer timer(loop, "test", [&] { ++count; });
    loop.run_once(EventLoop::Clock::now() + 5ms);
    CHECK(count == 0);
}

TEST_CASE("a time that has passed expires at once, and once") {
    EventLoop loop;
    int count = 0;
    Timer timer(loop, "test", [&] { ++count; });
    timer.expire_at(EventLoop::Clock::now() - 1h);
    run_until(loop, count, 1);
    loop.run_once(EventLoop::Clock::now() + 5ms);
    CHECK(count == 1);
    timer.expire_after(0ns);
    run_until(loop, count, 2);
    CHECK(count == 2);
}

TEST_CASE("a timer with an interval expires again, until it is stopped") {
    EventLoop loop;
    int count = 0;
    Timer timer(loop, "test", [&] { ++count; });
    const auto begin = EventLoop::Clock::now();
    timer.expire_every(2ms);
    run_until(loop, count, 3);
    CHECK(count == 3);
    CHECK(EventLoop::Clock::now() - begin >= 2ms);
    timer.stop();
    loop.run_once(EventLoop::Clock::now() + 10ms);
    CHECK(count == 3);
}

TEST_CASE("a timer that is not wanted does not expire") {
    EventLoop loop;
    int count = 0;
    bool is_wanted = false;
    Timer timer(
        loop, "test", [&] { ++count; }, [&] { return is_wanted; });
    timer.expire_after(1ms);
    loop.run_once(EventLoop::Clock::now() + 10ms);
    CHECK(count == 0);
    is_wanted = true;
    run_until(loop, count, 1);
    CHECK(count == 1);
}

TEST_CASE("the call of a timer may destroy the timer") {
    EventLoop loop;
    int count = 0;
    std::unique_ptr<Timer> timer;
    timer = std::make_unique<Timer>(loop, "test", [&] {
        timer.reset();
        ++count;
    });
    timer->expire_after(0ns);
    run_until(loop, count, 1);
    CHECK(count == 1);
    CHECK(timer == nullptr);
}
