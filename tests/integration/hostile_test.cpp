// Peers that break the rules: each gets an error with a reason, and its connection ends.
#include "tests/support/both_ends.hpp"
#include "tests/support/memory_use.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using namespace frsh;
using namespace frsh::test;

namespace {

std::string frame(const std::string& header, const std::string& payload = "") {
    std::string bytes;
    append_frame(bytes, header, payload);
    return bytes;
}

template <typename One>
std::string said(const One& message) {
    std::string bytes;
    encode(bytes, message);
    return bytes;
}

std::string hello() {
    return said(msg::Hello{1, "test", {}, "", ""});
}

std::string open_frames(const std::string& command, Channel channel = 1) {
    msg::Open open;
    open.channel = channel;
    // The id must be unique to this process: every process with the mark of a run is ended with it.
    open.run = "r" + std::to_string(::getpid()) + "-" + std::to_string(channel);
    open.args = {command};
    return said(open);
}

// A peer that sends given bytes and collects the received ones.
class RawPeer {
  public:
    RawPeer(EventLoop& loop, Fd fd, std::string to_say)
        : fd_(std::move(fd)), rest_(std::move(to_say)) {
        write_watch_ = loop.watch(
            "raw peer: says", fd_.get(), [this] { return has_said_all() ? short{0} : POLLOUT; },
            [this](short) {
                const IoResult result =
                    write_some(fd_.get(), std::string_view(rest_).substr(said_));
                said_ += result.bytes;
                if (result.status == IoResult::Status::EndOfFile) said_ = rest_.size();
            });
        read_watch_ = loop.watch(
            "raw peer: hears", fd_.get(),
            [this] { return listens && !has_heard_all ? POLLIN : short{0}; },
            [this](short) {
                char buffer[65536];
                const IoResult result = read_some(fd_.get(), buffer, sizeof buffer);
                heard_.frames().feed({buffer, result.bytes});
                if (result.status == IoResult::Status::EndOfFile) has_heard_all = true;
            });
    }

    bool listens = true;
    bool has_heard_all = false;

    std::optional<Message> next() { return heard_.next(); }
    [[nodiscard]] bool has_said_all() const { return said_ == rest_.size(); }
    void say(const std::string& more) { rest_ += more; }
    void close() {
        write_watch_.reset();
        read_watch_.reset();
        fd_.close();
    }
    void finish_saying() { ::shutdown(fd_.get(), SHUT_WR); }

  private:
    Fd fd_;
    std::string rest_;
    std::size_t said_ = 0;
    MessageDecoder heard_;
    EventLoop::Watch write_watch_;
    EventLoop::Watch read_watch_;
};

// Returns the error with which a session answers these bytes, if it does.
std::optional<msg::Error> answer_of_session(const Cutting& cutting, const std::string& bytes,
                                            bool then_close = false) {
    EventLoop loop;
    const Watchdog watchdog(loop);
    auto [ours, theirs] = make_socketpair();
    std::optional<ServerEnd> server(std::in_place, loop, std::move(theirs), cutting);
    RawPeer peer(loop, std::move(ours), bytes);
    std::optional<Beat> beat;
    if (then_close) beat.emplace(loop);
    while (server->turn()) {
        if (then_close && peer.has_said_all()) {
            peer.finish_saying();
            then_close = false;
        }
    }
    server.reset();  // As the process would end.
    while (!peer.has_heard_all)
        if (!loop.run_once(EventLoop::Clock::now() + 10ms)) break;
    CHECK_FALSE(has_children());
    std::optional<msg::Error> error;
    while (const auto message = peer.next()) {
        CHECK_MESSAGE(!error, "nothing follows an error");
        if (const auto* const found = std::get_if<msg::Error>(&*message)) error = *found;
    }
    return error;
}

const std::vector<std::string>& hostile_frames() {
    static const std::vector<std::string> all = {
        std::string("\0\0\0\0", 4),
        std::string("\x80\0\0\0", 4),
        std::string("\xFF\xFF\xFF\xFF", 4),
        std::string("\0\2\0\1", 4),
        frame(R"({"type":"bye","len":-1})"),
        frame(R"({"type":"bye","len":1.5})"),
        frame(R"({"type":"bye","len":1e308})"),
        frame(R"({"type":"bye","len":"3"})"),
        frame(R"({"type":"bye","len":0,"len":0})"),
        frame(R"({"type":"bye","len":1048577})"),
        frame(R"({"type":"bye","x":[[[[[[[[1]]]]]]]]})"),
        frame(std::string(60'000, '[')),
        frame("{\"type\":\"bye\",\"x\":\"\xFF\"}"),
        frame(std::string("{\"type\":\"bye\"}\0", 15)),
        frame("[]"),
        frame("{}"),
        frame(R"({"type":"nothing"})"),
        hello(),
        // For a channel that was not opened.
        said(msg::Cancel{9}),
        said(msg::Signal{9, "INT"}),
        said(msg::Data{9, StreamId::Stdin, 0, 0, "x"}),
        said(msg::Credit{9, StreamId::Stdout, 0, 1}),
        said(msg::EndAck{9, "r"}),
        // Messages that only a server sends.
        said(msg::Started{1, "r", 1}),
        said(msg::Refused{1, "busy", ""}),
        said(msg::End{1, "r", Exited{0}, {}, {}, std::nullopt, {}, {}, std::nullopt}),
        said(msg::Gap{1, StreamId::Stdout, 0, 1, 0}),
        said(msg::ShellReady{1, 1, "bash", "", ""}),
        said(msg::ShellEnded{1, Exited{0}}),
    };
    return all;
}

// These break the rules of a run that is there.
const std::vector<std::string>& hostile_to_a_run() {
    static const std::vector<std::string> all = {
        open_frames("true"),  // The same channel twice.
        said(msg::Data{1, StreamId::Stdin, 1, 0, "x"}),
        said(msg::Data{1, StreamId::Stdout, 0, 0, "x"}),
        said(msg::Data{1, StreamId::Stdin, 0, 0, "x"}) +
            said(msg::Data{1, StreamId::Stdin, 0, 0, "x"}),
        said(msg::Eof{1, StreamId::Stdin, 1}),
        said(msg::Eof{1, StreamId::Stdout, 0}),
        said(msg::Eof{1, StreamId::Stdin, 0}) + said(msg::Eof{1, StreamId::Stdin, 0}),
        said(msg::Eof{1, StreamId::Stdin, 0}) + said(msg::Data{1, StreamId::Stdin, 0, 0, "x"}),
        said(msg::Credit{1, StreamId::Stdout, 1'000'000, 2'000'000}),
        said(msg::Credit{1, StreamId::Stdout, 0, 5}) + said(msg::Credit{1, StreamId::Stderr, 1, 0}),
        said(msg::Credit{1, StreamId::Stdin, 0, 5}),
        said(msg::Stop{1, StreamId::Stdin}),
        said(msg::EndAck{1, "r1"}),
    };
    return all;
}

}  // namespace

TEST_CASE("hostile client: each broken rule is an error with a reason") {
    const Quiet quiet;
    for (const Cutting& cutting : cuttings()) {
        for (const std::string& bad : hostile_frames()) {
            CAPTURE(cutting.name());
            CAPTURE(bad.substr(0, 100));
            const auto error = answer_of_session(cutting, hello() + bad);
            REQUIRE(error);
            CHECK(error->reason == "protocol");
            CHECK_FALSE(error->message.empty());
        }
    }
}

TEST_CASE("hostile client: a broken rule ends the running run") {
    const Quiet quiet;
    for (const Cutting& cutting : cuttings()) {
        for (const std::string& bad : hostile_to_a_run()) {
            CAPTURE(cutting.name());
            CAPTURE(bad.substr(4, 100));
            const auto error =
                answer_of_session(cutting, hello() + open_frames("exec sleep 60") + bad);
            REQUIRE(error);
            CHECK(error->reason == "protocol");
        }
    }
}

TEST_CASE("hostile client: data beyond the window is refused unbuffered") {
    const Quiet quiet;
    std::string bytes = hello() + open_frames("exec sleep 60");
    const std::string piece(kMaxData, 'x');
    // Far more than any window, whatever credit is given.
    for (Offset at = 0; at < 16 * kWindow; at += piece.size())
        bytes += said(msg::Data{1, StreamId::Stdin, at, 0, piece});
    for (const Cutting& cutting : coarse_cuttings()) {
        CAPTURE(cutting.name());
        const auto error = answer_of_session(cutting, bytes);
        REQUIRE(error);
        CHECK(error->message.find("beyond the credit") != std::string::npos);
    }
}

TEST_CASE("hostile client: a request before hello is refused") {
    const Quiet quiet;
    for (const Cutting& cutting : cuttings()) {
        for (const std::string& bytes :
             {open_frames("exec sleep 60"), said(msg::Bye{}), said(msg::Cancel{1}),
              // Below the limits of a known peer, above those of a stranger.
              std::string("\0\0\x10\x01", 4), frame(R"({"type":"hello","len":16385})")}) {
            CAPTURE(cutting.name());
            const auto error = answer_of_session(cutting, bytes);
            REQUIRE(error);
            CHECK(error->reason == "protocol");
        }
        const auto error =
            answer_of_session(cutting, said(msg::Hello{2, "", {}, "", ""}) + open_frames("true"));
        REQUIRE(error);
        CHECK(error->reason == "version");
    }
}

TEST_CASE("hostile client: a cut connection leaves no process") {
    const Quiet quiet;
    const std::string bytes = hello() + open_frames("exec sleep 60") +
                              said(msg::Data{1, StreamId::Stdin, 0, 0, "0123456789"}) +
                              said(msg::Signal{1, "USR1"});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(answer_of_session({}, bytes.substr(0, size), true));
    }
}

TEST_CASE("hostile client: a flood of opens is refused, then ended") {
    const Quiet quiet;
    std::string bytes = hello();
    for (Channel channel = 1; channel < 700; ++channel) {
        msg::Open open;
        open.channel = channel;
        open.run = "r";
        open.mode = msg::Open::Mode::Argv;
        open.args = {"/no/such/program"};
        bytes += said(open);
    }
    const auto error = answer_of_session({}, bytes);
    REQUIRE(error);
    CHECK(error->message.find("flood") != std::string::npos);
}

TEST_CASE("hostile client: a flood of control costs little memory") {
    const Quiet quiet;
    EventLoop loop;
    const Watchdog watchdog(loop);
    const Beat beat(loop);
    auto [ours, theirs] = make_socketpair();
    ServerEnd server(loop, std::move(theirs), {});
    RawPeer peer(loop, std::move(ours), hello());
    peer.listens = false;
    for (Channel channel = 1; channel <= 8; ++channel)
        peer.say(open_frames("exec cat /dev/zero", channel));
    std::string flood;
    for (int i = 0; i < 200; ++i) {
        flood += said(msg::Credit{1, StreamId::Stdout, 0, kInitialWindow});
        flood += said(msg::Signal{1, "CONT"});
        flood += said(msg::Data{2, StreamId::Stdin, 0, 0, ""});
    }
    const std::size_t before = resident();
    for (int i = 0; i < 300; ++i) {
        if (peer.has_said_all()) peer.say(flood);
        REQUIRE(server.turn());
    }
    // Eight windows, what the pipes hold, and the outbox.
    if (kMeasuresMemory) CHECK(grown_since(before) < 24 * kWindow);
    peer.close();
    server.finish();
    CHECK_FALSE(has_children());
}

TEST_CASE("hostile server: a broken rule makes the run lost") {
    const Quiet quiet;
    const auto end = [](StreamSummary out, StreamSummary err, const std::string& run = "run") {
        return said(msg::End{1, run, Exited{0}, out, err, std::nullopt, {}, {}, std::nullopt});
    };
    const auto data = [](Offset offset, const std::string& bytes) {
        return said(msg::Data{1, StreamId::Stdout, offset, 0, bytes});
    };
    const StreamSummary none{0, 0, true, std::nullopt, std::nullopt};
    const StreamSummary three{3, 0x352441C2, true, std::nullopt, std::nullopt};  // "abc"
    const std::string started = said(msg::Started{1, "run", 7});
    const std::string eof = said(msg::Eof{1, StreamId::Stdout, 3});
    const std::string ends =
        said(msg::Eof{1, StreamId::Stdout, 0}) + said(msg::Eof{1, StreamId::Stderr, 0});

    // Such a server has taken nothing, so the run has not started.
    const std::string other_version = said(msg::Hello{2, "", {}, "", ""});

    std::vector<std::string> sayings = {
        "",
        end(none, none),
        hello() + started,
        hello() + started + data(0, "abc") + eof,
        hello() + end(none, none),
        hello() + ends + end(none, none),
        hello() + started + end(none, none),
        hello() + started + end(none, none) + ends,
        hello() + started + data(0, "abc") + end(three, none),
        hello() + started + data(0, "abc") + eof + end(three, none),
        hello() + started + data(0, "ab") + end(three, none),
        hello() + started + data(0, "abd") + eof + end(three, none),
        hello() + started + data(0, "abc") + eof + end(three, three),
        hello() + started + data(0, "abc") + eof + end(none, none),
        hello() + started + end(none, none, "other"),
        hello() + started + data(1, "abc"),
        hello() + started + data(0, "abc") + data(0, "abc"),
        hello() + started + data(0, "abc") + eof + data(3, "d"),
        hello() + started + data(0, "abc") + said(msg::Eof{1, StreamId::Stdout, 2}),
        hello() + started + said(msg::Data{1, StreamId::Stdin, 0, 0, "x"}),
        hello() + started + said(msg::Credit{1, StreamId::Stdin, 1, 2}),
        hello() + started + said(msg::Credit{1, StreamId::Stdout, 0, 2}),
        hello() + started + said(msg::Gap{1, StreamId::Stdout, 1, 2, 0}),
        hello() + started + said(msg::Gap{1, StreamId::Stdout, 0, 3, 0}) + end(three, none),
        hello() + started + said(msg::Signal{1, "INT"}),
        hello() + started + said(msg::Cancel{1}),
        hello() + hello(),
        other_version,
        hello() + started + said(msg::Error{"busy", "go away", 5}),
    };
    for (const std::string& bad : hostile_frames())
        if (bad.find("nothing") != std::string::npos || bad.find("\"len\"") != std::string::npos)
            sayings.push_back(hello() + started + bad);

    for (const Cutting& cutting : cuttings()) {
        for (const std::string& saying : sayings) {
            CAPTURE(cutting.name());
            CAPTURE(saying);
            EventLoop loop;
            const Watchdog watchdog(loop);
            auto [ours, theirs] = make_socketpair();
            RawPeer server(loop, std::move(theirs), saying);
            Memory out;
            Memory err;
            ServerConnection link(loop, Connection{.transport = cut(std::move(ours), cutting)});
            msg::Open open = BothEnds::command("true");
            open.run = "run";
            RemoteRun& run = link.open(open, out, err);
            bool is_closed = false;
            while (!run.is_finished()) {
                link.link().flush();
                loop.run_once(EventLoop::Clock::now() + 1ms);
                if (server.has_said_all() && !is_closed) {
                    server.finish_saying();
                    is_closed = true;
                }
            }
            const bool is_lost = std::holds_alternative<Lost>(run.outcome());
            const bool is_not_started = std::holds_alternative<NotStarted>(run.outcome());
            CHECK((saying == other_version ? is_not_started : is_lost));
            CHECK(exit_code(run.outcome()) == 255);
        }
    }
}

namespace {

// Returns the outcome of a run at a server that sends `saying`, whole.
Outcome outcome_of_run(const std::string& saying, Memory& out) {
    EventLoop loop;
    const Watchdog watchdog(loop);
    auto [ours, theirs] = make_socketpair();
    RawPeer server(loop, std::move(theirs), saying);
    Memory err;
    ServerConnection link(loop, Connection{.transport = cut(std::move(ours), {})});
    msg::Open open = BothEnds::command("true");
    open.run = "run";
    RemoteRun& run = link.open(open, out, err);
    while (!run.is_finished()) {
        link.link().flush();
        loop.run_once();
    }
    return run.outcome();
}

}  // namespace

TEST_CASE("hostile server: an end without a process needs no end of a stream") {
    const StreamSummary none{0, 0, true, std::nullopt, std::nullopt};
    for (const Outcome& outcome : {Outcome(NotStarted{"exec", ENOENT, "no such program"}),
                                   Outcome(Canceled{}), Outcome(TimedOut{"wall", {}})}) {
        const std::string saying =
            hello() + said(msg::Started{1, "run", 0}) +
            said(msg::End{1, "run", outcome, none, none, std::nullopt, {}, {}, std::nullopt});
        Memory out;
        CHECK((outcome_of_run(saying, out) == outcome));
    }
}

TEST_CASE("hostile server: a correct exchange by hand is accepted") {
    const StreamSummary three{3, 0x352441C2, true, std::nullopt, std::nullopt};
    const StreamSummary none{0, 0, true, std::nullopt, std::nullopt};
    const std::string saying =
        hello() + said(msg::Started{1, "run", 7}) +
        said(msg::Data{1, StreamId::Stdout, 0, 0, "abc"}) + said(msg::Eof{1, StreamId::Stdout, 3}) +
        said(msg::Eof{1, StreamId::Stderr, 0}) +
        said(msg::End{1, "run", Exited{0}, three, none, std::nullopt, {}, {}, std::nullopt});
    Memory out;
    CHECK((outcome_of_run(saying, out) == Outcome(Exited{0})));
    CHECK(out.all == "abc");
}
