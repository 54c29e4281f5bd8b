// Runs on a terminal, over every cutting of the transport.
#include "tests/support/both_ends.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace frsh;
using namespace frsh::test;

namespace {

// A terminal that does not show what is typed, so that only the command's own words come back.
msg::Open on_terminal(const std::string& text, TerminalModes modes = {{"ECHO", 0}}) {
    msg::Open open = BothEnds::command(text);
    open.pty = msg::Pty{"vt100", {80, 24, 0, 0}, std::move(modes)};
    return open;
}

// Turns both ends until `condition` holds.
template <typename Condition>
void turn_until(BothEnds& ends, RemoteRun& run, Condition condition) {
    std::string_view nothing;
    while (!condition())
        ends.turn(run, nothing);
}

}  // namespace

TEST_CASE("terminal: keys arrive and one stream returns, in every cutting") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run = ends.open(
            on_terminal("read x; echo got $x >&2; stty size; cat; echo $TERM ${SSH_TTY#/dev/}; "
                        "exit 3"));
        const Outcome outcome = ends.run_to_end(run, "one\ntwo\nno end");
        REQUIRE(std::holds_alternative<Exited>(outcome));
        CHECK(std::get<Exited>(outcome).code == 3);
        const std::string expected = "got one\r\n24 80\r\ntwo\r\nno endvt100 pts/";
        CHECK(ends.out.all.substr(0, expected.size()) == expected);
        CHECK(ends.err.all.empty());
        CHECK(run.end()->out.eof);
        CHECK(run.end()->err == StreamSummary{0, 0, true, {}, {}});
        CHECK(run.end()->usage->max_rss_kib > 0);
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("terminal: the last of many sizes arrives, in every cutting") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run = ends.open(on_terminal("echo up; read x; stty size"));
        turn_until(ends, run, [&] { return ends.out.all == "up\r\n"; });
        for (unsigned columns = 100; columns <= 200; ++columns)
            run.resize({columns, 50, 0, 0});
        CHECK(std::holds_alternative<Exited>(ends.run_to_end(run, "go\n")));
        CHECK(ends.out.all == "up\r\n50 200\r\n");
        ends.leave();
    }
}

TEST_CASE("terminal: a size for a run without a terminal is ignored") {
    BothEnds ends(Cutting{});
    RemoteRun& run = ends.open(BothEnds::command("echo up; cat"));
    run.resize({1, 2, 3, 4});
    CHECK(std::holds_alternative<Exited>(ends.run_to_end(run, "x")));
    CHECK(ends.out.all == "up\nx");
    ends.leave();
}

TEST_CASE("terminal: Ctrl-C and Ctrl-D act on the remote terminal") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run =
            ends.open(on_terminal("trap 'hit=1' INT; echo up; until [ $hit ]; do sleep 0.01; done; "
                                  "echo int; cat; echo eof; read y"));
        turn_until(ends, run, [&] { return ends.out.all.ends_with("up\r\n"); });
        run.append_stdin("\x03");
        turn_until(ends, run, [&] { return ends.out.all.ends_with("int\r\n"); });
        run.append_stdin("\x04");
        turn_until(ends, run, [&] { return ends.out.all.ends_with("eof\r\n"); });
        CHECK(std::holds_alternative<Exited>(ends.run_to_end(run, "\x04")));
        ends.leave();
    }
}

TEST_CASE("terminal: a dropped connection is lost and leaves no process") {
    const Quiet quiet;
    for (const std::size_t at : {std::size_t{0}, std::size_t{150}, std::size_t{700},
                                 std::size_t{5'000}, std::size_t{100'000}}) {
        CAPTURE(at);
        Cutting cutting;
        cutting.drop_read = at;
        BothEnds ends(cutting, Cutting{});
        RemoteRun& run = ends.open(on_terminal("sleep 60 & yes"));
        CHECK(std::holds_alternative<Lost>(ends.run_to_end(run)));
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("terminal: unread output is limited to the terminal's window") {
    BothEnds ends(Cutting{});
    ends.out.takes = false;
    RemoteRun& run = ends.open(on_terminal("yes"));
    turn_until(ends, run, [&] { return ends.out.all.size() == kTerminalWindow; });
    const auto until = EventLoop::Clock::now() + std::chrono::milliseconds(50);
    const Beat beat(ends.loop);
    turn_until(ends, run, [&] { return EventLoop::Clock::now() >= until; });
    CHECK(ends.out.all.size() == kTerminalWindow);
    // After Ctrl-C: what the terminals hold on both sides, and nothing else.
    run.append_stdin("\x03");
    ends.out.takes = true;
    const Outcome outcome = ends.run_to_end(run);
    REQUIRE(std::holds_alternative<Signaled>(outcome));
    CHECK(std::get<Signaled>(outcome).name == "INT");
    CHECK(ends.out.all.size() < 3 * kTerminalWindow);
    ends.leave();
}

TEST_CASE("terminal: an echo does not wait for a flood that shares the link") {
    BothEnds ends(Cutting{});
    Memory flood;
    Memory nothing_else;
    RemoteRun& bulk = ends.link.open(BothEnds::command("yes"), flood, nothing_else);
    RemoteRun& run = ends.open(on_terminal("cat", {{"ECHO", 1}, {"ICANON", 0}}));
    turn_until(ends, run, [&] { return flood.all.size() > 1'000'000 && run.has_started(); });
    std::vector<std::size_t> passed;  // Bytes of the flood between a key and its echo.
    for (char key = 'a'; key <= 'z'; ++key) {
        flood.all.clear();
        run.append_stdin({&key, 1});
        turn_until(ends, run, [&] { return ends.out.all.find(key) != std::string::npos; });
        passed.push_back(flood.all.size());
    }
    std::sort(passed.begin(), passed.end());
    MESSAGE("bytes between a key and its echo: median ", passed[13], ", most ", passed.back());
    // One outbox, what the socket holds, and a turn or two of the loop.
    CHECK(passed[13] < 1'000'000);
    run.cancel();
    bulk.cancel();
    turn_until(ends, run, [&] { return run.is_finished() && bulk.is_finished(); });
    ends.leave();
    CHECK_FALSE(has_children());
}
