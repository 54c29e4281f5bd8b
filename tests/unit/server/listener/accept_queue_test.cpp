// The pure parts of admission: packets between gate and monitor, penalties, turns by source.
#include "server/listener/accept_queue.hpp"

#include "common/base/error.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/run/launch.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <sys/socket.h>

using namespace frsh;
using namespace std::chrono_literals;

TEST_CASE("gate messages: each message is read back as it was written") {
    const GateBinding sent{std::string(32, 'b'), {"X25519", "TLS_AES_128_GCM_SHA256"}};
    const GateBinding binding = parse_binding(parse_to_monitor(encode(to_message(sent))));
    CHECK(binding.binding == sent.binding);
    CHECK(binding.tls == sent.tls);
    CHECK(parse_to_gate(encode(ToGate{ToGate::Kind::Admitted, ""})).kind == ToGate::Kind::Admitted);
}

TEST_CASE("gate messages: an unknown packet is refused") {
    for (const std::string& packet :
         {std::string(), std::string("B"), std::string("Bshort"), std::string("Wx"),
          std::string("x"), std::string("Y"), "F" + std::string(257, 'x'),
          "A" + std::string(16385, 'x'), "B" + std::string(32, 'x'), "B" + std::string(129, 'x'),
          std::string(20000, 'A')}) {
        CHECK_THROWS_AS((void)parse_to_monitor(packet), ProtocolError);
    }
    CHECK_NOTHROW((void)parse_to_monitor("A" + std::string(16384, 'x')));
}

TEST_CASE("gate messages: a binding without two plain names is refused") {
    for (const char* const names : {"x", "x ", " x", "x y z", "x\ny", "x \x1b", "x \"y\""}) {
        CAPTURE(names);
        const ToMonitor message = parse_to_monitor("B" + std::string(32, 'b') + names);
        CHECK_THROWS_AS((void)parse_binding(message), ProtocolError);
    }
}

TEST_CASE("gate messages: a packet that is too long is refused whole") {
    const auto [ours, theirs] = make_packet_pair();
    CHECK(receive_packet(ours.get()) == std::nullopt);
    REQUIRE(send_packet(theirs.get(), std::string(60000, 'A')));
    const auto packet = receive_packet(ours.get());
    REQUIRE(packet);
    CHECK_THROWS_AS((void)parse_to_monitor(*packet), ProtocolError);
}

TEST_CASE("penalties: a source is refused only above the threshold") {
    Penalties penalties;
    EventLoop::Time now{};
    penalties.add("a", 5s, now);
    penalties.add("a", 5s, now);
    CHECK(!penalties.find("a", now));
    penalties.add("a", 5s, now);
    CHECK(penalties.find("a", now) == 15s);
    CHECK(penalties.find("a", now + 14s) == 1s);
    CHECK(!penalties.find("a", now + 15s));
    CHECK(!penalties.find("b", now));
}

TEST_CASE("penalties: a refused source may try one login a second") {
    Penalties penalties;
    const auto now = EventLoop::Clock::now();
    CHECK_FALSE(penalties.take_trial("a", now));
    penalties.add("a", 90s, now);
    CHECK(penalties.take_trial("a", now));
    CHECK_FALSE(penalties.take_trial("a", now + 999ms));
    CHECK_FALSE(penalties.take_trial("b", now));
    penalties.add("a", 5s, now + 500ms);
    CHECK_FALSE(penalties.take_trial("a", now + 600ms));
    CHECK(penalties.take_trial("a", now + 1s));
    CHECK(penalties.find("a", now + 1s));
}

TEST_CASE("penalties: they expire within ten minutes, and the table stays small") {
    Penalties penalties;
    EventLoop::Time now{};
    for (int i = 0; i < 100; ++i)
        penalties.add("a", 90s, now);
    CHECK(penalties.find("a", now) == 600s);
    for (int i = 0; i < 10'000; ++i)
        penalties.add(std::to_string(i), 90s, now);
    CHECK(penalties.find("9999", now));
}

TEST_CASE("accept queue: sources take turns") {
    EventLoop loop;
    AcceptQueue room(loop, 100, 10s);
    const auto now = EventLoop::Clock::now();
    for (int i = 0; i < 5; ++i)
        CHECK(!room.add(Fd(), Door::Plaintext, {"crowd", false}, now));
    CHECK(!room.add(Fd(), Door::Plaintext, {"one", false}, now));
    const auto anybody = [](const PeerSource&) { return true; };
    std::string order;
    while (const auto guest = room.take_next(anybody))
        order += guest->source.name[0];
    CHECK(order == "cocccc");
    CHECK(room.size() == 0);
}

TEST_CASE("accept queue: a source at its limit does not delay others") {
    EventLoop loop;
    AcceptQueue room(loop, 100, 10s);
    const auto now = EventLoop::Clock::now();
    CHECK(!room.add(Fd(), Door::Plaintext, {"full", false}, now));
    CHECK(!room.add(Fd(), Door::Plaintext, {"other", false}, now));
    const auto may = [](const PeerSource& source) { return source.name != "full"; };
    CHECK(room.take_next(may)->source.name == "other");
    CHECK(!room.take_next(may));
    CHECK(room.has_ready());
}

TEST_CASE("accept queue: if full, a silent one of the largest source is dropped") {
    EventLoop loop;
    AcceptQueue room(loop, 3, 10s);
    const auto now = EventLoop::Clock::now();
    std::vector<Fd> theirs;
    const auto add = [&](Door door, const char* source) {
        auto [ours, other] = make_socketpair();
        theirs.push_back(std::move(other));
        return room.add(std::move(ours), door, {source, false}, now);
    };
    CHECK(!add(Door::Tls, "crowd"));
    CHECK(!add(Door::Tls, "crowd"));
    CHECK(!add(Door::Tls, "one"));
    const auto rejected = add(Door::Tls, "two");
    REQUIRE(rejected);
    CHECK(rejected->source.name == "crowd");
    CHECK(room.drop_hopeless(now + 11s).size() == 3);
    for (int i = 0; i < 3; ++i)
        CHECK(!add(Door::Plaintext, "spoken"));
    CHECK(add(Door::Tls, "late")->source.name == "late");
}

TEST_CASE("launch: a forced command takes only the words of a request") {
    msg::Open open;
    open.mode = msg::Open::Mode::Argv;
    open.args = {"a b", "c"};
    open.cwd = "/tmp";
    open.env = {"LD_PRELOAD=/tmp/x.so"};
    LaunchContext context;
    context.forced_command = "backup";
    context.sftp_server = "/opt/sftp-server";
    const msg::Open forced = force_command(open, context);
    CHECK(forced.mode == msg::Open::Mode::Command);
    CHECK(forced.args == std::vector<std::string>{"backup"});
    CHECK(!forced.cwd);
    CHECK(forced.env == std::vector<std::string>{"FRSH_ORIGINAL_COMMAND='a b' c",
                                                 "SSH_ORIGINAL_COMMAND='a b' c"});
    open.mode = msg::Open::Mode::Login;
    open.args.clear();
    CHECK(force_command(open, context).env.empty());
    open.mode = msg::Open::Mode::Subsystem;
    open.args = {"sftp"};
    const msg::Open subsystem = force_command(open, context);
    CHECK(subsystem.mode == msg::Open::Mode::Command);
    CHECK(subsystem.args == std::vector<std::string>{"backup"});
    CHECK(subsystem.env == std::vector<std::string>{"FRSH_ORIGINAL_COMMAND=/opt/sftp-server",
                                                    "SSH_ORIGINAL_COMMAND=/opt/sftp-server"});
}
