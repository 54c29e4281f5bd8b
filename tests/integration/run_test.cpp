#include "common/proto/checksum.hpp"
#include "tests/support/both_ends.hpp"
#include "tests/support/memory_use.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using namespace frsh;
using namespace frsh::test;

namespace {

constexpr std::size_t kMuch = 3 * kWindow + 12'345;

std::string noise(std::size_t size) {
    std::mt19937 random(5);
    std::string bytes(size, '\0');
    for (char& c : bytes)
        c = static_cast<char>(random());
    return bytes;
}

}  // namespace

TEST_CASE("run: every kind of end arrives unchanged, in every cutting") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        const auto outcome_of = [&](const msg::Open& open) {
            return ends.run_to_end(ends.open(open));
        };
        CHECK(std::get<Exited>(outcome_of(BothEnds::command("exit 7"))).code == 7);
        CHECK(std::get<Signaled>(outcome_of(BothEnds::command("kill -9 $$"))).name == "KILL");
        auto missing = BothEnds::command("no-such-program-of-ours");
        missing.mode = msg::Open::Mode::Argv;
        CHECK(std::get<NotStarted>(outcome_of(missing)).stage == "exec");
        auto nowhere = BothEnds::command("true");
        nowhere.cwd = "/no/such/folder";
        CHECK(std::get<NotStarted>(outcome_of(nowhere)).stage == "cwd");
        auto slow = BothEnds::command("sleep 60");
        slow.timeout = 50ms;
        CHECK(std::get<TimedOut>(outcome_of(slow)).limit == "wall");
        auto silent = BothEnds::command("sleep 60");
        silent.idle_timeout = 50ms;
        CHECK(std::get<TimedOut>(outcome_of(silent)).limit == "idle");
        RemoteRun& canceled = ends.open(BothEnds::command("sleep 60"));
        canceled.cancel();
        CHECK(std::holds_alternative<Canceled>(ends.run_to_end(canceled)));
        RemoteRun& signaled = ends.open(BothEnds::command("exec sleep 60"));
        signaled.signal("TERM");
        CHECK(std::get<Signaled>(ends.run_to_end(signaled)).name == "TERM");
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("run: both streams arrive whole and apart") {
    const std::string input = noise(5'000);
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run = ends.open(BothEnds::command("tee /dev/stderr; echo end"));
        CHECK(std::get<Exited>(ends.run_to_end(run, input)).code == 0);
        CHECK(ends.out.all == input + "end\n");
        CHECK(ends.err.all == input);
        REQUIRE(run.end());
        CHECK(run.end()->out.eof);
        CHECK(run.end()->err.eof);
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("run: more than a window each way causes no deadlock") {
    const std::string input = noise(kMuch);
    for (const Cutting& cutting : coarse_cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run = ends.open(BothEnds::command("tee /dev/stderr"));
        CHECK(std::get<Exited>(ends.run_to_end(run, input)).code == 0);
        CHECK((ends.out.all == input));
        CHECK((ends.err.all == input));
        ends.leave();
    }
}

TEST_CASE("run: sizes around the window arrive whole") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{kInitialWindow} - 1,
          std::size_t{kInitialWindow}, std::size_t{kInitialWindow} + 1, std::size_t{kWindow} - 1,
          std::size_t{kWindow}, std::size_t{kWindow} + 1}) {
        const std::string input = noise(size);
        for (const Cutting& cutting : {Cutting{}, Cutting{Cutting::Kind::Random, 9}}) {
            CAPTURE(size);
            CAPTURE(cutting.name());
            BothEnds ends(cutting);
            RemoteRun& run = ends.open(BothEnds::command("cat"));
            CHECK(std::get<Exited>(ends.run_to_end(run, input)).code == 0);
            CHECK((ends.out.all == input));
            ends.leave();
        }
    }
}

TEST_CASE("run: a command that stops reading stdin is no error") {
    for (const Cutting& cutting : coarse_cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        RemoteRun& run = ends.open(BothEnds::command("head -c 3; exec <&-; echo; sleep 0.05"));
        CHECK(std::get<Exited>(ends.run_to_end(run, noise(kMuch))).code == 0);
        CHECK(ends.out.all.size() == 4);
        ends.leave();
    }
}

TEST_CASE("run: a reader that has gone stops the command by SIGPIPE") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        ends.out.error = EPIPE;
        RemoteRun& run = ends.open(BothEnds::command("exec yes"));
        CHECK(std::get<Signaled>(ends.run_to_end(run)).name == "PIPE");
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("run: a cap leaves a gap, and the checksums still hold") {
    const Quiet quiet;
    std::string whole;
    for (int i = 1; i <= 60'000; ++i)
        whole += std::to_string(i) + "\n";
    for (const Cutting& cutting : coarse_cuttings()) {
        for (const std::uint64_t cap : {0U, 1U, 999U, 100'000U}) {
            CAPTURE(cutting.name());
            CAPTURE(cap);
            BothEnds ends(cutting);
            auto open = BothEnds::command("seq 1 60000");
            open.max_output = cap;
            RemoteRun& run = ends.open(open);
            CHECK(std::get<Exited>(ends.run_to_end(run)).code == 0);
            const auto head = static_cast<std::size_t>(cap - cap / 2);
            const auto tail = static_cast<std::size_t>(cap / 2);
            CHECK((ends.out.all == whole.substr(0, head) + whole.substr(whole.size() - tail)));
            Crc32 sum;
            sum.update(whole);
            REQUIRE(run.end());
            CHECK(run.end()->out == StreamSummary{whole.size(), sum.value(), true, cap, head});
            ends.leave();
        }
    }
}

TEST_CASE("run: a client that stops reading makes the command wait") {
    for (const Cutting& cutting : coarse_cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        ends.out.takes = false;
        const std::size_t before = resident();
        RemoteRun& run = ends.open(BothEnds::command("exec cat /dev/zero"));
        std::string_view nothing;
        // Until bytes have come, and then none for a while. The beat keeps the loop turning.
        const Beat beat(ends.loop);
        std::size_t got = 0;
        for (int still = 0; still < 100;) {
            ends.turn(run, nothing);
            still = got > 0 && ends.out.all.size() == got ? still + 1 : 0;
            got = ends.out.all.size();
        }
        CHECK(got == kWindow);
        // A few windows, not all of /dev/zero.
        if (kMeasuresMemory) CHECK(grown_since(before) < 16 * kWindow);
        run.cancel();
        ends.out.takes = true;
        CHECK(std::holds_alternative<Canceled>(ends.run_to_end(run)));
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("run: many runs share a link and keep their own streams") {
    for (const Cutting& cutting : cuttings()) {
        CAPTURE(cutting.name());
        BothEnds ends(cutting);
        std::vector<std::unique_ptr<Memory>> sinks;
        std::vector<RemoteRun*> runs;
        for (int i = 0; i < 12; ++i) {
            sinks.push_back(std::make_unique<Memory>());
            sinks.push_back(std::make_unique<Memory>());
            const std::string n = std::to_string(i);
            auto open = BothEnds::command("echo out " + n + "; echo err " + n + " >&2; exit " + n);
            open.stdin_null = true;
            runs.push_back(
                &ends.link.open(open, *sinks[sinks.size() - 2], *sinks[sinks.size() - 1]));
        }
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const std::string n = std::to_string(i);
            std::string_view nothing;
            while (!runs[i]->is_finished())
                ends.turn(*runs[i], nothing);
            CHECK(std::get<Exited>(runs[i]->outcome()).code == static_cast<int>(i));
            CHECK(sinks[2 * i]->all == "out " + n + "\n");
            CHECK(sinks[2 * i + 1]->all == "err " + n + "\n");
        }
        ends.leave();
        CHECK_FALSE(has_children());
    }
}

TEST_CASE("run: a connection dropped at any byte is lost") {
    const Quiet quiet;
    // What a whole run takes, in bytes each way.
    const auto attempt = [](std::size_t drop_read, std::size_t drop_written) {
        Cutting cutting;
        cutting.drop_read = drop_read;
        cutting.drop_written = drop_written;
        BothEnds ends(cutting, Cutting{});
        RemoteRun& run = ends.open(BothEnds::command("echo out; echo err >&2; exit 3"));
        const Outcome outcome = ends.run_to_end(run);
        CHECK(std::string("out\n").starts_with(ends.out.all));
        CHECK(std::string("err\n").starts_with(ends.err.all));
        ends.leave();
        CHECK_FALSE(has_children());
        if (const auto* const exited = std::get_if<Exited>(&outcome)) {
            CHECK(exited->code == 3);
            CHECK(ends.out.all == "out\n");
            CHECK(ends.err.all == "err\n");
            return true;
        }
        CHECK(std::holds_alternative<Lost>(outcome));
        CHECK(exit_code(outcome) == 255);
        return false;
    };
    constexpr std::size_t step = 1;
    std::size_t lost = 0;
    std::size_t whole_in_a_row = 0;
    for (std::size_t at = 0; whole_in_a_row < 20 / step; at += step) {
        CAPTURE(at);
        REQUIRE(at < 10'000);
        const bool is_whole = attempt(at, Cutting::kNoDrop);
        whole_in_a_row = is_whole ? whole_in_a_row + 1 : 0;
        lost += is_whole ? 0 : 1;
    }
    CHECK(lost > 500 / step);
    // The other way: what the server was never told, it did not do.
    for (std::size_t at = 0; at < 200; at += step) {
        CAPTURE(at);
        CHECK_FALSE(attempt(Cutting::kNoDrop, at));
    }
}

TEST_CASE("run: a lost connection ends all that the run started") {
    const Quiet quiet;
    for (const std::size_t at : {std::size_t{700}, std::size_t{5'000}, std::size_t{300'000}}) {
        Cutting cutting;
        cutting.drop_read = at;
        BothEnds ends(cutting, Cutting{});
        RemoteRun& run = ends.open(BothEnds::command("sleep 60 & setsid sleep 61 & yes"));
        CHECK(std::holds_alternative<Lost>(ends.run_to_end(run)));
        ends.leave();
        CHECK_FALSE(has_children());
    }
}
