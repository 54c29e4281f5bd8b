#include "common/sys/event_loop.hpp"

#include "common/sys/fd.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using frsh::EventLoop;

namespace {

auto soon() {
    return EventLoop::Clock::now() + 20ms;
}

}  // namespace

TEST_CASE("event loop: a reader is called when bytes can be read") {
    EventLoop loop;
    const frsh::Pipe pipe = frsh::make_pipe();
    int called = 0;
    const auto watch = loop.watch(
        "reader", pipe.read_end.get(), [] { return short{POLLIN}; }, [&](short) { ++called; });
    CHECK(loop.run_once(soon()));
    CHECK(called == 0);
    frsh::write_all(pipe.write_end.get(), "x");
    CHECK(loop.run_once());
    CHECK(called == 1);
    CHECK(loop.run_once());
    CHECK_MESSAGE(called == 2, "what was not dealt with is reported again");
}

TEST_CASE("event loop: a watch that wants no event is not called") {
    EventLoop loop;
    frsh::Pipe pipe = frsh::make_pipe();
    frsh::write_all(pipe.write_end.get(), "x");
    pipe.write_end.close();
    short wanted = 0;
    int called = 0;
    const auto watch = loop.watch(
        "reader", pipe.read_end.get(), [&] { return wanted; }, [&](short) { ++called; });
    // Neither data nor the hang-up, which poll(2) cannot mask, wakes it.
    const auto before = EventLoop::Clock::now();
    CHECK(loop.run_once(before + 20ms));
    CHECK(EventLoop::Clock::now() >= before + 20ms);
    CHECK(called == 0);
    wanted = POLLIN;
    CHECK(loop.run_once());
    CHECK(called == 1);
}

TEST_CASE("event loop: without any possible event it returns at once") {
    EventLoop loop;
    CHECK_FALSE(loop.run_once());
    const frsh::Pipe pipe = frsh::make_pipe();
    const auto watch = loop.watch(
        "idle", pipe.read_end.get(), [] { return short{0}; }, [](short) {});
    CHECK_FALSE(loop.run_once());
    CHECK(loop.run_once(EventLoop::Clock::now()));
}

TEST_CASE("event loop: it does not wait for a past deadline") {
    EventLoop loop;
    const frsh::Pipe pipe = frsh::make_pipe();
    const auto watch = loop.watch(
        "idle", pipe.read_end.get(), [] { return short{POLLIN}; }, [](short) {});
    const auto before = EventLoop::Clock::now();
    CHECK(loop.run_once(before - 1h));
    CHECK(EventLoop::Clock::now() - before < 5s);
}

TEST_CASE("event loop: a watch dropped in a callback gets no event") {
    EventLoop loop;
    const frsh::Pipe one = frsh::make_pipe();
    const frsh::Pipe two = frsh::make_pipe();
    frsh::write_all(one.write_end.get(), "x");
    frsh::write_all(two.write_end.get(), "x");
    EventLoop::Watch first;
    EventLoop::Watch second;
    int called = 0;
    const auto wants = [] { return short{POLLIN}; };
    first = loop.watch("first", one.read_end.get(), wants, [&](short) {
        ++called;
        second.reset();
    });
    second = loop.watch("second", two.read_end.get(), wants, [&](short) {
        ++called;
        first.reset();
    });
    CHECK(loop.run_once());
    CHECK(called == 1);
    CHECK(loop.run_once());
    CHECK(called == 2);
}

TEST_CASE("event loop: a watch may drop itself in its callback") {
    EventLoop loop;
    const frsh::Pipe pipe = frsh::make_pipe();
    frsh::write_all(pipe.write_end.get(), "x");
    EventLoop::Watch watch;
    const std::string long_enough_to_be_on_the_heap(100, 'x');
    std::string seen;
    watch = loop.watch(
        "reader", pipe.read_end.get(), [] { return short{POLLIN}; },
        [&, text = long_enough_to_be_on_the_heap](short) {
            watch.reset();
            seen = text;
        });
    CHECK(loop.run_once());
    CHECK(seen == long_enough_to_be_on_the_heap);
    CHECK_FALSE(loop.run_once());
}

TEST_CASE("event loop: a watch added in a callback waits for a turn") {
    EventLoop loop;
    const frsh::Pipe one = frsh::make_pipe();
    frsh::write_all(one.write_end.get(), "x");
    std::vector<EventLoop::Watch> more;
    int called = 0;
    const auto wants = [] { return short{POLLIN}; };
    const auto watch = loop.watch("first", one.read_end.get(), wants, [&](short) {
        if (more.size() > 100) return;
        more.push_back(loop.watch("more", one.read_end.get(), wants, [&](short) { ++called; }));
    });
    CHECK(loop.run_once());
    CHECK(called == 0);
    CHECK(loop.run_once());
    CHECK(called == 1);
}

TEST_CASE("event loop: a hang-up wakes a watch that wants to read") {
    EventLoop loop;
    frsh::Pipe pipe = frsh::make_pipe();
    pipe.write_end.close();
    short seen = 0;
    const auto watch = loop.watch(
        "reader", pipe.read_end.get(), [] { return short{POLLIN}; },
        [&](short events) { seen = events; });
    CHECK(loop.run_once());
    CHECK((seen & POLLHUP) != 0);
}
