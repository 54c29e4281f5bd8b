#include "client/connection/reconnect.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

namespace frsh {
namespace {

void signal_event(const Fd& event) {
    constexpr std::uint64_t kOne = 1;
    (void)write_some(event.get(), {reinterpret_cast<const char*>(&kOne), sizeof kOne});
}

}  // namespace

// Only the thread writes `connection` and `problem`, and only before it signals `ended`. The loop
// reads them after that.
struct Reconnect::Attempt {
    Attempt(const Connector& connector, Time deadline)
        : ended(check(::eventfd(0, EFD_CLOEXEC), "eventfd")),
          cancel(check(::eventfd(0, EFD_CLOEXEC), "eventfd")),
          thread([this, connector, deadline] {
              try {
                  connection = connector({deadline, cancel.get()});
              } catch (const std::exception& error) {
                  problem = error.what();
              }
              signal_event(ended);
          }) {}
    ~Attempt() {
        signal_event(cancel);
        thread.join();
    }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    std::optional<Connection> connection;
    std::string problem;
    Fd ended;
    Fd cancel;
    std::thread thread;  // The last member: it starts when all others are there.
};

Reconnect::Reconnect(EventLoop& loop, Connector connector, Calls calls, const Times& times)
    : loop_(loop),
      connector_(std::move(connector)),
      calls_(std::move(calls)),
      times_(times),
      pause_(times.first_pause),
      limit_(times.first_limit),
      timer_(loop, "reconnect: pause or deadline", [this] { on_timer(); }) {}

Reconnect::~Reconnect() = default;

bool Reconnect::lost(std::chrono::milliseconds grace, const std::string& problem,
                     std::uint64_t carried) {
    const Time now = EventLoop::Clock::now();
    if (state_ == State::Idle || carried > times_.useful_bytes) deadline_ = now + grace;
    if (state_ != State::Idle) {
        ++losses_;
        again(problem);
        return false;
    }
    begin();
    return true;
}

void Reconnect::works() {
    state_ = State::OnTrial;
    timer_.expire_at(EventLoop::Clock::now() + times_.trial);
}

void Reconnect::become_idle() {
    state_ = State::Idle;
    pause_ = times_.first_pause;
    limit_ = times_.first_limit;
    calls_.on_settled(std::exchange(losses_, 0));
}

EventLoop::Time Reconnect::limit() const {
    return std::min<Time>(deadline_, EventLoop::Clock::now() + limit_);
}

void Reconnect::begin() {
    state_ = State::Attempting;
    timer_.expire_at(deadline_);
    attempt_ = std::make_unique<Attempt>(connector_, limit());
    attempt_watch_ = loop_.watch(
        "reconnect: the attempt has ended", attempt_->ended.get(), [] { return short{POLLIN}; },
        [this](short) { on_attempt_ended(); });
}

void Reconnect::on_attempt_ended() {
    attempt_watch_.reset();
    auto connection = std::move(attempt_->connection);
    const std::string problem = std::move(attempt_->problem);
    attempt_.reset();
    if (!connection) return again(problem);
    state_ = State::Connected;
    timer_.expire_at(limit());
    const auto call = calls_.on_connected;  // A copy: the call may destroy this object.
    call(std::move(*connection));
}

void Reconnect::again(const std::string& problem) {
    state_ = State::Pausing;
    if (!problem.empty()) last_problem_ = problem;
    // A random part keeps the clients of one server from coming back all at the same moment.
    std::minstd_rand random(std::random_device{}());
    const auto pause = pause_ * (75 + random() % 50) / 100;
    pause_ = std::min<std::chrono::milliseconds>(2 * pause_, times_.longest_pause);
    limit_ = std::min<std::chrono::milliseconds>(limit_ * 3 / 2, times_.longest_limit);
    timer_.expire_at(std::min<Time>(deadline_, EventLoop::Clock::now() + pause));
}

void Reconnect::on_timer() {
    // A connection on trial works, also at the deadline.
    if (state_ == State::OnTrial) return become_idle();
    if (state_ == State::Idle) return;
    if (EventLoop::Clock::now() >= deadline_) return give_up();
    if (state_ == State::Pausing) begin();
    if (state_ == State::Connected) {
        const auto call = calls_.on_stalled;  // A copy: the call may destroy this object.
        call();
    }
}

void Reconnect::give_up() {
    state_ = State::GivenUp;
    attempt_watch_.reset();
    timer_.stop();
    attempt_.reset();
    const auto call = calls_.on_given_up;  // A copy: the call may destroy this object.
    call(last_problem_);
}

}  // namespace frsh
