// What the process of a jump host reports to the process that started it, through a pipe.
//
// The reports name the hop that failed and the reason, and stop the clock of the whole way while a
// hop asks the user. Each report is one line:
//
//     at TEXT                    what the hop waits for: "alice@a:7722 has not answered"
//     asking                     the user is asked, until the next report
//     up                         the connection behind the hop is made
//     failed ERRNO STAGE TEXT    the end; ERRNO is that of the connection behind the hop, else 0
//     interrupted                the end: Ctrl-C at a question
#pragma once

#include "client/connection/stage_error.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/wait.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// A hop failed. error_number() is not 0 if the hop works and could not connect to what is behind.
class HopError : public StageError {
    using StageError::StageError;
};

// The end of the hop's process. Without a pipe, it reports nothing. Errors are ignored: the starter
// may be gone.
class HopReporter {
  public:
    // `pipe` is lent; -1: no pipe.
    explicit HopReporter(int pipe) : pipe_(pipe) {}

    [[nodiscard]] bool is_on() const { return pipe_ >= 0; }
    void at(std::string_view text) const;
    void asking() const;
    void up() const;
    void failed(int error_number, std::string_view stage, std::string_view text) const;
    void interrupted() const;

  private:
    void send(const std::string& line) const;

    int pipe_;
};

// The end of the process that started the hop's process.
class HopReports {
  public:
    // `name` is the target, for messages. Passes on to `above` what the hop waits for. If the
    // connection is made, `own` is passed on.
    HopReports(Fd pipe, std::string name, HopReporter above, std::string own);

    // Blocks as wait_for_events() does. While a hop asks the user, the deadline of `limit` moves.
    // Throws HopError if a hop has failed, or Interrupted, or as wait_for_events() does.
    [[nodiscard]] bool wait(int fd, short events, WaitLimit& limit);
    // Throws HopError or Interrupted if the reports that have arrived say so. Never blocks.
    void check(WaitLimit& limit);
    // Returns what the hop waits for; empty if it has made the connection.
    [[nodiscard]] const std::string& pending() const { return pending_; }

  private:
    void take(std::string_view line, WaitLimit& limit);

    Fd pipe_;
    std::string name_;
    HopReporter above_;
    std::string own_;
    std::string partial_;  // The beginning of a line.
    std::string pending_;
    // While a hop asks the user: what was left until the deadline.
    std::optional<EventLoop::Clock::duration> left_;
};

}  // namespace frsh
