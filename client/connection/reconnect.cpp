#include "client/connection/reconnect.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>

#include <sys/eventfd.h>
#include <sys/timerfd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kLongestPause = 2000ms;

std::atomic<int> dialing = 0;

}  // namespace

// Shared by the thread and us; the event orders what one writes before what the other reads.
struct Reconnect::Attempt {
    Fd event;
    std::optional<Connection> connection;
    std::string problem;
};

bool is_dialing() {
    return dialing > 0;
}

Reconnect::Reconnect(EventLoop& loop, Connector connector, Time deadline, OnConnected on_connected,
                     OnGivenUp on_given_up)
    : loop_(loop),
      redial_(std::move(connector)),
      deadline_(deadline),
      on_connected_(std::move(on_connected)),
      on_given_up_(std::move(on_given_up)),
      timer_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {
    timer_watch_ = loop_.watch(
        "reconnect: a pause is over, or the time", timer_.get(), [] { return short{POLLIN}; },
        [this](short) { on_timer(); });
    begin();
}

Reconnect::~Reconnect() = default;

void Reconnect::begin() {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - EventLoop::Clock::now());
    if (left.count() <= 0) return on_timer();
    arm(deadline_);
    attempt_ = std::make_shared<Attempt>();
    attempt_->event = Fd(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
    attempt_watch_ = loop_.watch(
        "reconnect: an attempt is over", attempt_->event.get(), [] { return short{POLLIN}; },
        [this](short) { on_done(); });
    ++dialing;
    std::thread([attempt = attempt_, connector = redial_, left] {
        try {
            attempt->connection = connector(left);
        } catch (const std::exception& error) {
            attempt->problem = error.what();
        }
        constexpr std::uint64_t kOne = 1;
        (void)write_some(attempt->event.get(), {reinterpret_cast<const char*>(&kOne), sizeof kOne});
        --dialing;
    }).detach();
}

void Reconnect::on_done() {
    char count[8];
    (void)read_some(attempt_->event.get(), count, sizeof count);
    attempt_watch_.reset();
    const auto attempt = std::exchange(attempt_, nullptr);
    if (!attempt->connection) return again(attempt->problem);
    // The caller may well destroy us.
    const OnConnected tell = on_connected_;
    tell(std::move(*attempt->connection));
}

void Reconnect::again(const std::string& why) {
    if (!why.empty()) last_problem_ = why;
    // Not all clients of a server that was away come back at the same moment.
    std::minstd_rand random(std::random_device{}());
    const auto pause = pause_ * (75 + random() % 50) / 100;
    pause_ = std::min<std::chrono::milliseconds>(2 * pause_, kLongestPause);
    arm(std::min<Time>(deadline_, EventLoop::Clock::now() + pause));
}

void Reconnect::arm(Time when) {
    const auto left = std::chrono::nanoseconds(when - EventLoop::Clock::now());
    const auto wait = std::max<std::chrono::nanoseconds>(left, 1ns);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    const itimerspec next{{0, 0}, {seconds.count(), (wait - seconds).count()}};
    check(::timerfd_settime(timer_.get(), 0, &next, nullptr), "timerfd");
}

void Reconnect::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    if (EventLoop::Clock::now() < deadline_) {
        if (!attempt_) begin();
        return;
    }
    attempt_watch_.reset();
    timer_watch_.reset();
    const OnGivenUp tell = on_given_up_;
    tell(last_problem_);
}

}  // namespace frsh
