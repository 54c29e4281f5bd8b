#include "client/connection/reconnect.hpp"

#include "common/base/error.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/wait.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

using frsh::Connection;
using frsh::EventLoop;
using frsh::Reconnect;
using frsh::WaitLimit;
using namespace std::chrono_literals;

namespace {

constexpr Reconnect::Times kShort{1ms, 8ms, 40ms, 80ms, 60ms, 1000};

// A client whose connection is lost, and what its Reconnect reported.
struct Client {
    explicit Client(frsh::Connector connector, const Reconnect::Times& times = kShort)
        : reconnect(loop, std::move(connector),
                    Reconnect::Calls{[this](Connection) {
                                         ++connected;
                                         if (on_connected) on_connected();
                                     },
                                     [this] {
                                         ++stalled;
                                         reconnect.again("stalled");
                                     },
                                     [this](const std::string& why) { given_up = why; },
                                     [this](unsigned losses) {
                                         has_settled = true;
                                         losses_settled = losses;
                                     }},
                    times) {}
    void run_until(const std::function<bool()>& is_done) {
        const auto deadline = EventLoop::Clock::now() + 20s;
        while (!is_done() && EventLoop::Clock::now() < deadline)
            loop.run_once(deadline);
        CHECK(is_done());
    }

    EventLoop loop;
    int connected = 0;
    int stalled = 0;
    std::string given_up;
    bool has_settled = false;
    unsigned losses_settled = 0;
    std::function<void()> on_connected;
    Reconnect reconnect;
};

// Dials as into a network that drops each packet.
Connection dial_in_vain(const WaitLimit& limit) {
    (void)frsh::wait_for_events(-1, 0, limit);
    throw frsh::UserError("no answer");
}

}  // namespace

TEST_CASE("reconnect: an attempt without an answer is abandoned and made again") {
    std::atomic<int> attempts = 0;
    Client client([&attempts](const WaitLimit& limit) {
        if (++attempts < 4) return dial_in_vain(limit);
        return Connection();
    });
    client.reconnect.lost(60s, "cut");
    client.run_until([&] { return client.connected == 1; });
    CHECK(attempts == 4);
}

TEST_CASE("reconnect: the limit of an attempt grows, and the last attempt ends at the deadline") {
    const auto begin = EventLoop::Clock::now();
    std::atomic<int> attempts = 0;
    Client client([&attempts](const WaitLimit& limit) {
        ++attempts;
        return dial_in_vain(limit);
    });
    client.reconnect.lost(300ms, "cut");
    client.run_until([&] { return !client.given_up.empty(); });
    CHECK(client.given_up == "no answer");
    CHECK(EventLoop::Clock::now() - begin >= 300ms);
    CHECK(attempts >= 2);
    CHECK(attempts <= 8);  // 300 ms hold no more attempts of 40 ms.
}

TEST_CASE("reconnect: a server that accepts and does not answer is dialled again") {
    Client client([](const WaitLimit&) { return Connection(); });
    client.reconnect.lost(60s, "cut");
    client.run_until([&] { return client.stalled == 2; });
    CHECK(client.connected == 2);
}

TEST_CASE(
    "reconnect: a link that breaks after each resume is dialled ever less often, and given up") {
    Client client([](const WaitLimit&) { return Connection(); }, {10ms, 100ms, 1s, 1s, 10s, 1000});
    client.on_connected = [&client] {
        client.reconnect.works();
        CHECK_FALSE(client.reconnect.lost(60s, "cut again"));
    };
    CHECK(client.reconnect.lost(700ms, "cut"));
    client.run_until([&] { return !client.given_up.empty(); });
    CHECK(client.given_up == "cut again");
    CHECK(client.connected >= 3);
    CHECK(client.connected <= 16);  // Without growing pauses: 70.
    CHECK(client.reconnect.losses() == static_cast<unsigned>(client.connected));
}

TEST_CASE("reconnect: useful bytes begin the time anew, and leave the pauses as they are") {
    Client client([](const WaitLimit&) { return Connection(); }, {5ms, 50ms, 1s, 1s, 10s, 1000});
    const auto begin = EventLoop::Clock::now();
    client.on_connected = [&client] {
        client.reconnect.works();
        client.reconnect.lost(200ms, "cut again", client.connected < 12 ? 1001 : 1000);
    };
    client.reconnect.lost(200ms, "cut");
    client.run_until([&] { return !client.given_up.empty(); });
    CHECK(client.connected >= 12);
    CHECK(EventLoop::Clock::now() - begin >= 400ms);
}

TEST_CASE("reconnect: a link that lasts is restored, and its next loss is a new one") {
    Client client([](const WaitLimit&) { return Connection(); });
    client.on_connected = [&client] { client.reconnect.works(); };
    CHECK(client.reconnect.lost(60s, "cut"));
    client.run_until([&] { return client.connected == 1; });
    CHECK_FALSE(client.reconnect.lost(60s, "cut again"));
    client.run_until([&] { return client.has_settled; });
    CHECK(client.losses_settled == 1);
    CHECK(client.reconnect.losses() == 0);
    CHECK(client.reconnect.lost(60s, "cut"));
}
