// A key's way to its echo while a bulk run shares the link, and how soon a new run is answered.
//
// Usage: bench_mix KEYS [options of frsh] TARGET; a line of JSON, times in milliseconds.
#include "client/cli/config.hpp"
#include "client/cli/options.hpp"
#include "client/connection/connect.hpp"
#include "client/connection/server_connection.hpp"
#include "client/run/remote_run.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace frsh;
using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

class Counted : public OutputSink {
  public:
    Offset bytes = 0;
    void write(std::string_view piece) override {
        bytes += piece.size();
        unused_ += piece.size();
    }
    Offset take_used() override { return std::exchange(unused_, 0); }
    [[nodiscard]] bool is_drained() const override { return true; }

  private:
    Offset unused_ = 0;
};

class Mix {
  public:
    explicit Mix(const ClientOptions& options) : server_(loop_, connect_to(options)) {}

    // Returns the milliseconds from each key to its echo.
    std::vector<double> type(int keys) {
        std::vector<double> times;
        for (int key = 0; key < keys; ++key) {
            const Offset before = echoed_.bytes;
            const auto begin = Clock::now();
            terminal().append_stdin("x");
            wait_until([&] { return echoed_.bytes > before; });
            times.push_back(milliseconds_since(begin));
            pause(std::chrono::milliseconds(5));
        }
        return times;
    }

    // Returns the milliseconds from each `open` to its `started`.
    std::vector<double> ask(int times) {
        std::vector<double> taken;
        for (int time = 0; time < times; ++time) {
            const auto begin = Clock::now();
            RemoteRun& run = open("true", false, ignored_);
            wait_until([&] { return run.has_started(); });
            taken.push_back(milliseconds_since(begin));
            wait_until([&] { return run.is_finished(); });
            server_.forget(run);
        }
        return taken;
    }

    void begin_bulk() {
        open("cat /dev/zero", false, bulk_);
        wait_until([&] { return bulk_.bytes > 1'000'000; });
    }
    [[nodiscard]] Offset bulk_bytes() const { return bulk_.bytes; }

  private:
    RemoteRun& terminal() {
        if (terminal_ == nullptr) {
            terminal_ = &open("stty -icanon; printf R; exec cat >/dev/null", true, echoed_);
            wait_until([&] { return echoed_.bytes > 0; });
        }
        return *terminal_;
    }

    RemoteRun& open(const char* command, bool on_terminal, OutputSink& out) {
        msg::Open open;
        open.run = new_run_id();
        open.args = {command};
        open.stdin_null = !on_terminal;
        if (on_terminal) open.pty = msg::Pty{"xterm", {}, {}};
        return server_.open(std::move(open), out, ignored_);
    }

    template <typename Condition>
    void wait_until(Condition condition) {
        while (!condition()) {
            if (server_.is_down()) throw UserError("the server left: " + server_.problem());
            server_.turn();
        }
    }
    void pause(std::chrono::milliseconds time) {
        const auto end = EventLoop::Clock::now() + time;
        while (EventLoop::Clock::now() < end)
            server_.turn(end);
    }

    EventLoop loop_;
    Counted echoed_;
    Counted bulk_;
    Counted ignored_;
    ServerConnection server_;
    RemoteRun* terminal_ = nullptr;
};

void print(const char* name, std::vector<double> times) {
    std::sort(times.begin(), times.end());
    std::printf("\"%s\":[%.3f,%.3f],", name, times[times.size() / 2],
                times[times.size() * 99 / 100]);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const int keys = argc > 2 ? std::max(1, std::atoi(argv[1])) : 0;
        if (keys == 0) throw UserError("usage: bench_mix KEYS [options of frsh] TARGET");
        int status = 0;
        auto options = parse_client_options(argc - 1, argv + 1, status);
        if (!options) return status;
        configure(*options);
        Mix mix(*options);
        (void)mix.type(10);
        std::printf("{");
        print("idle", mix.type(keys));
        print("idle_start", mix.ask(10));
        mix.begin_bulk();
        const Offset before = mix.bulk_bytes();
        const auto begin = Clock::now();
        print("beside_bulk", mix.type(keys));
        print("start_beside_bulk", mix.ask(10));
        std::printf("\"bulk_mb_s\":%.1f}\n", static_cast<double>(mix.bulk_bytes() - before) / 1e3 /
                                                 milliseconds_since(begin));
    } catch (const std::exception& error) {
        log::error(error.what());
        return 255;
    }
}
