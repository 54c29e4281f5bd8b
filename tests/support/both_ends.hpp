// A real session and a real client on one event loop, with a cutting transport at each end.
#pragma once

#include "client/connection/server_connection.hpp"
#include "common/base/log.hpp"
#include "common/sys/signals.hpp"
#include "server/session/session.hpp"
#include "tests/support/cutting_transport.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh::test {

inline bool is_full() {
    return std::getenv("FRSH_TEST_FULL") != nullptr;
}

// A sanitizer releases freed memory late, so the size of the process is meaningless with one.
#ifdef FRSH_SANITIZE
inline constexpr bool kMeasuresMemory = false;
inline constexpr int kPatienceSeconds = 150;
#else
inline constexpr bool kMeasuresMemory = true;
inline constexpr int kPatienceSeconds = 30;
#endif

// Errors that a case provokes are not logged.
class Quiet {
  public:
    Quiet() { log::set_level(log::Level::Quiet); }
    ~Quiet() { log::set_level(log::Level::Notice); }
};

// Every cutting there is, for the one parameter that every case takes.
inline std::vector<Cutting> cuttings() {
    using Kind = Cutting::Kind;
    std::vector<Cutting> all{{Kind::Whole}, {Kind::Glued}, {Kind::ByteByByte}, {Kind::ShortWrites}};
    for (unsigned seed = 1; seed <= (is_full() ? 30U : 3U); ++seed)
        all.push_back({Kind::Random, seed});
    return all;
}

// The ones that carry much in bearable time.
inline std::vector<Cutting> coarse_cuttings() {
    auto all = cuttings();
    std::erase_if(all, [](const Cutting& one) {
        return one.kind == Cutting::Kind::ByteByByte || one.kind == Cutting::Kind::ShortWrites;
    });
    return all;
}

class Memory : public OutputSink {
  public:
    std::string all;
    bool takes = true;  // Otherwise it keeps what has arrived, like a reader that has stopped.
    int error = 0;

    void write(std::string_view bytes) override {
        all += bytes;
        unused_ += bytes.size();
    }
    Offset take_used() override { return takes ? std::exchange(unused_, 0) : 0; }
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override { return error; }

  private:
    Offset unused_ = 0;
};

// Ends a test that hangs. A watch like any other, so that the loop wakes for it.
class Watchdog {
  public:
    explicit Watchdog(EventLoop& loop) : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
        itimerspec time{};
        time.it_value.tv_sec = kPatienceSeconds;
        ::timerfd_settime(timer_.get(), 0, &time, nullptr);
        watch_ = loop.watch(
            "watchdog", timer_.get(), [] { return short{POLLIN}; },
            [](short) { throw std::runtime_error("the test hangs"); });
    }

  private:
    Fd timer_;
    EventLoop::Watch watch_;
};

// Makes every turn of the loop end within a millisecond.
class Beat {
  public:
    explicit Beat(EventLoop& loop) : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
        itimerspec time{};
        time.it_value.tv_nsec = time.it_interval.tv_nsec = 1'000'000;
        ::timerfd_settime(timer_.get(), 0, &time, nullptr);
        watch_ = loop.watch(
            "beat", timer_.get(), [] { return short{POLLIN}; },
            [this](short) {
                char count[8];
                (void)read_some(timer_.get(), count, sizeof count);
            });
    }

  private:
    Fd timer_;
    EventLoop::Watch watch_;
};

inline SessionSettings settings() {
    SessionSettings settings;
    settings.launch.user = current_user();
    settings.launch.user.shell = "/bin/sh";
    settings.launch.user.home = "/";
    settings.launch.env = base_environment(settings.launch.user, BaseEnvironment::Clean);
    settings.launch.session_mark = "FRSH_SESSION=test";
    return settings;
}

inline std::unique_ptr<Transport> cut(Fd fd, const Cutting& cutting) {
    return std::make_unique<CuttingTransport>(std::make_unique<FdTransport>(std::move(fd)),
                                              cutting);
}

// A session whose peer is a descriptor of the test's own.
class ServerEnd {
  public:
    ServerEnd(EventLoop& loop, Fd fd, const Cutting& cutting)
        : signals_({SIGCHLD}), session_(loop, cut(std::move(fd), cutting), settings()) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // As run_session() does.
        watch_ = loop.watch(
            "children", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                (void)signals_.take();
                while (const auto status = reap())
                    session_.child_exited(*status);
            });
    }

    // One turn of everything on the loop; false once the session is over.
    bool turn() { return !is_over_ && !(is_over_ = !session_.run_once()); }
    void finish() {
        while (turn()) {
        }
    }

  private:
    Signals signals_;
    Session session_;
    EventLoop::Watch watch_;
    bool is_over_ = false;
};

// Returns living children, and reaps dead ones.
inline bool has_children() {
    for (int patience = 0; patience < 2000; ++patience) {
        const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
        if (ended == -1) return false;
        // Killed already, as started_by() sees it, but not gone yet.
        if (ended == 0) ::poll(nullptr, 0, 1);
    }
    return true;
}

class BothEnds {
  public:
    explicit BothEnds(const Cutting& client_cutting, const Cutting& server_cutting)
        : BothEnds(client_cutting, server_cutting, make_socketpair()) {}
    explicit BothEnds(const Cutting& cutting) : BothEnds(cutting, cutting) {}

    EventLoop loop;
    Watchdog watchdog{loop};
    ServerEnd server;
    Memory out;
    Memory err;
    ServerConnection link;

    static msg::Open command(const std::string& text) {
        msg::Open open;
        open.run = new_run_id();
        open.args = {text};
        open.linger = std::chrono::seconds(2);
        return open;
    }

    RemoteRun& open(msg::Open request) { return link.open(std::move(request), out, err); }

    // One turn of both; feeds `input` to the run as far as it takes it.
    void turn(RemoteRun& run, std::string_view& input) {
        if (!run.is_finished()) {
            const std::size_t size = std::min(run.stdin_room(), input.size());
            if (size > 0) run.append_stdin(input.substr(0, size));
            input.remove_prefix(size);
        }
        link.link().flush();
        if (!server.turn()) loop.run_once(EventLoop::Clock::now() + std::chrono::milliseconds(1));
    }

    Outcome run_to_end(RemoteRun& run, std::string_view input = {}) {
        bool is_said = false;
        while (!run.is_finished()) {
            if (input.empty() && !is_said) {
                run.finish_stdin();
                is_said = true;
            }
            turn(run, input);
        }
        return run.outcome();
    }

    // The client leaves; nothing of the session may stay.
    void leave() {
        link.link().close();
        link.link().flush();
        while (!link.link().is_flushed()) {
            if (!server.turn()) break;
            link.link().flush();
        }
        server.finish();
    }

  private:
    BothEnds(const Cutting& client_cutting, const Cutting& server_cutting, std::pair<Fd, Fd> pair)
        : server(loop, std::move(pair.first), server_cutting),
          link(loop, Connection{.transport = cut(std::move(pair.second), client_cutting)}) {}
};

}  // namespace frsh::test
