#include "client/connection/hop_report.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// A hop waits this long for the user, and the server behind it as long.
constexpr auto kHopQuestionLimit = 120s;

int milliseconds_until(EventLoop::Time deadline) {
    if (deadline == EventLoop::kNever) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
}

// Takes the text before the first space from `line`.
std::string_view take_word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

}  // namespace

void HopReporter::at(std::string_view text) const {
    send("at " + escape_controls(text));
}

void HopReporter::asking() const {
    send("asking");
}

void HopReporter::up() const {
    send("up");
}

void HopReporter::failed(int error_number, std::string_view stage, std::string_view text) const {
    send("failed " + std::to_string(error_number) + " " + std::string(stage) + " " +
         escape_controls(text));
}

void HopReporter::interrupted() const {
    send("interrupted");
}

void HopReporter::send(const std::string& line) const {
    if (!is_on()) return;
    try {
        write_all(pipe_, line + "\n");
    } catch (const SysError&) {
        return;
    }
}

HopReports::HopReports(Fd pipe, std::string name, HopReporter above, std::string own)
    : pipe_(std::move(pipe)), name_(std::move(name)), above_(above), own_(std::move(own)) {}

bool HopReports::wait(int fd, short events, WaitLimit& limit) {
    for (;;) {
        pollfd polled[] = {{fd, events, 0},
                           {limit.cancel_fd, POLLIN, 0},
                           {pipe_.is_open() ? pipe_.get() : -1, POLLIN, 0}};
        const int ready = ::poll(polled, 3, milliseconds_until(limit.deadline));
        if (ready == -1 && errno == EINTR) continue;
        frsh::check(ready, "poll");
        if (polled[1].revents != 0) throw WaitCanceled();
        if (polled[2].revents != 0) check(limit);
        if (polled[0].revents != 0) return true;
        if (EventLoop::Clock::now() >= limit.deadline) return false;
    }
}

void HopReports::check(WaitLimit& limit) {
    while (pipe_.is_open()) {
        pollfd polled{pipe_.get(), POLLIN, 0};
        if (::poll(&polled, 1, 0) != 1) return;
        char buffer[4096];
        const IoResult got = read_some(pipe_.get(), buffer, sizeof buffer);
        if (got.status == IoResult::Status::EndOfFile) return pipe_.close();
        if (got.status == IoResult::Status::WouldBlock) return;
        partial_.append(buffer, got.bytes);
        for (std::size_t end = 0; (end = partial_.find('\n')) != std::string::npos;) {
            const std::string line = partial_.substr(0, end);
            partial_.erase(0, end + 1);
            take(line, limit);
        }
    }
}

void HopReports::take(std::string_view line, WaitLimit& limit) {
    const std::string_view kind = take_word(line);
    if (kind == "interrupted") throw Interrupted();
    if (kind == "failed") {
        const auto number = parse_number(take_word(line), 0, 4095).value_or(0);
        const std::string stage(take_word(line));
        throw HopError(stage, name_ + ": " + std::string(line), std::nullopt,
                       static_cast<int>(number));
    }
    if (kind == "asking") {
        if (!left_ && limit.deadline != EventLoop::kNever) {
            left_ = limit.deadline - EventLoop::Clock::now();
            limit.deadline = EventLoop::Clock::now() + kHopQuestionLimit;
        }
        return above_.asking();
    }
    if (left_) limit.deadline = EventLoop::Clock::now() + *std::exchange(left_, std::nullopt);
    pending_ = kind == "at" ? std::string(line) : "";
    above_.at(kind == "at" ? line : std::string_view(own_));
}

}  // namespace frsh
