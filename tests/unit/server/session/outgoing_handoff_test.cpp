#include "server/session/outgoing_handoff.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/transport.hpp"
#include "common/sys/fd_passing.hpp"
#include "common/sys/unix_listener.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace frsh;
using namespace std::chrono_literals;

namespace {

using Time = EventLoop::Time;

sockaddr_un address_of(const std::string& name, socklen_t& size) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "frsh/" + name;
    path.copy(address.sun_path + 1, path.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
    return address;
}

Fd stream_socket() {
    return Fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
}

bool connect_to(const std::string& name, const Fd& socket) {
    socklen_t size = 0;
    const sockaddr_un address = address_of(name, size);
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

// A session that listens under its name and answers only what the test lets it answer.
class StalledSession {
  public:
    explicit StalledSession(const std::string& name) : name_(name), listening_(stream_socket()) {
        socklen_t size = 0;
        const sockaddr_un address = address_of(name, size);
        check(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), size), "bind");
        check(::listen(listening_.get(), 1), "listen");
    }
    void fill_backlog() {
        for (;;) {
            Fd visitor = stream_socket();
            if (!connect_to(name_, visitor)) break;
            visitors_.push_back(std::move(visitor));
        }
        REQUIRE(errno == EAGAIN);
    }
    Fd accept() { return Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  private:
    std::string name_;
    Fd listening_;
    std::vector<Fd> visitors_;
};

// A session's connection whose client has asked for a run of another session.
class Asking : private Link::Handler {
  public:
    Asking(const std::string& owner, std::chrono::milliseconds timeout)
        : Asking(owner, timeout, make_socketpair()) {}

    // Runs until the request is refused. Returns the time since `began`.
    std::chrono::milliseconds refused_after(Time began) {
        while (!is_refused) {
            turn();
            REQUIRE(EventLoop::Clock::now() < began + 20s);
        }
        return std::chrono::duration_cast<std::chrono::milliseconds>(EventLoop::Clock::now() -
                                                                     began);
    }
    void turn() {
        if (handoff.state() != OutgoingHandoff::State::Idle) {
            handoff.step(EventLoop::Clock::now());
        }
        loop.run_once(std::min(handoff.next_deadline(), EventLoop::Clock::now() + 10ms));
    }

    EventLoop loop;
    Fd client;
    bool is_refused = false;

  private:
    Asking(std::string owner, std::chrono::milliseconds timeout, std::pair<Fd, Fd> ends)
        : client(std::move(ends.second)),
          owner_(std::move(owner)),
          link_(loop, std::make_unique<FdTransport>(std::move(ends.first)), *this),
          handoff(loop, link_, no_command_, timeout) {
        std::string bytes;
        encode(bytes, msg::Resume{owner_, {}});
        link_.receive(bytes);
    }
    void on_message(const Message& message) override {
        if (!handoff.may_try()) {
            is_refused = true;
        } else {
            handoff.begin(owner_, message, "client");
        }
    }
    void on_link_down(const std::string& problem) override { FAIL(problem); }

    const std::optional<std::string> no_command_;
    std::string owner_;
    Link link_;

  public:
    OutgoingHandoff handoff;
};

std::string unique_name(const char* what) {
    return std::string("testhandoff") + what + std::to_string(::getpid());
}

Fd accept_visit(StalledSession& owner, Asking& asking) {
    while (asking.handoff.state() != OutgoingHandoff::State::Asking)
        asking.turn();
    Fd visit = owner.accept();
    REQUIRE(visit.is_open());
    return visit;
}

}  // namespace

TEST_CASE("handoff: a session that does not answer is given up at one deadline") {
    const std::string name = unique_name("stalled");
    StalledSession owner(name);
    const Time began = EventLoop::Clock::now();
    Asking asking(name, 200ms);
    const auto took = asking.refused_after(began);
    CHECK(took >= 200ms);
    CHECK(took < 2s);  // 20 attempts of 200 ms each would take 4 s.
}

TEST_CASE("handoff: a full backlog is given up at the same deadline") {
    const std::string name = unique_name("full");
    StalledSession owner(name);
    owner.fill_backlog();
    const Time began = EventLoop::Clock::now();
    Asking asking(name, 200ms);
    const auto took = asking.refused_after(began);
    CHECK(took >= 200ms);
    CHECK(took < 2s);
}

TEST_CASE("handoff: a full backlog of another user delays nothing, as root") {
    if (::geteuid() != 0) return;
    constexpr uid_t kAnother = 54321;
    const std::string name = unique_name("squatted");
    ::setfsuid(kAnother);  // Its socket belongs to this user.
    StalledSession squatter(name);
    ::setfsuid(0);
    squatter.fill_backlog();
    CHECK(frsh::owner_of_abstract_listener("frsh/" + name) == kAnother);
    CHECK_FALSE(frsh::owner_of_abstract_listener("frsh/" + name + "x"));
    const Time began = EventLoop::Clock::now();
    Asking asking(name, 20s);
    CHECK(asking.refused_after(began) < 10s);
}

TEST_CASE("handoff: a withdrawn connection cannot be taken any more") {
    const std::string name = unique_name("withdrawn");
    StalledSession owner(name);
    Asking asking(name, 10s);
    const Fd visit = accept_visit(owner, asking);
    while (asking.handoff.state() == OutgoingHandoff::State::Asking) {
        pollfd polled{visit.get(), POLLIN, 0};
        if (::poll(&polled, 1, 0) == 1) break;
        asking.turn();
    }
    for (int i = 0; i < 5; ++i)
        asking.turn();  // Everything is written; the answer is awaited.
    CHECK(asking.handoff.withdraw());
    CHECK(::send(visit.get(), "+", 1, MSG_NOSIGNAL) == -1);
    CHECK(errno == EPIPE);
}

TEST_CASE("handoff: an answer sent before the withdrawal counts") {
    const std::string name = unique_name("answered");
    StalledSession owner(name);
    Asking asking(name, 10s);
    const Fd visit = accept_visit(owner, asking);
    for (int i = 0; i < 5; ++i)
        asking.turn();
    REQUIRE(::send(visit.get(), "+", 1, MSG_NOSIGNAL) == 1);
    CHECK_FALSE(asking.handoff.withdraw());
}

TEST_CASE("handoff: a stalled visitor does not hold up the next and is dropped") {
    const log::Level before = log::level();
    log::set_level(log::Level::Quiet);
    const std::string name = unique_name("visitors");
    EventLoop loop;
    int arrived = 0;
    HandoffPoint point(
        loop, name, [](const Handoff&) { return true; },
        [&](const Handoff&, const Fd&) { ++arrived; }, 200ms);
    const Fd stalled = stream_socket();
    REQUIRE(connect_to(name, stalled));
    auto [ours, theirs] = make_socketpair();
    HandoffAttempt attempt(loop, name, ours.get(), ours.get(), "bytes", std::nullopt,
                           EventLoop::Clock::now() + 10s);
    const Time give_up = EventLoop::Clock::now() + 20s;
    while (attempt.state() != HandoffAttempt::State::Taken && EventLoop::Clock::now() < give_up)
        loop.run_once(EventLoop::Clock::now() + 10ms);
    CHECK(attempt.state() == HandoffAttempt::State::Taken);
    CHECK(arrived == 1);
    char byte = 0;
    ssize_t got = -1;
    while (got == -1 && EventLoop::Clock::now() < give_up) {
        loop.run_once(std::min(point.next_deadline(), EventLoop::Clock::now() + 10ms));
        point.tick(EventLoop::Clock::now());
        got = ::recv(stalled.get(), &byte, 1, 0);
    }
    CHECK(got == 0);
    log::set_level(before);
}
