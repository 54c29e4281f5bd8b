// ConnectionShells owns the shells of one connection (a prompt uses one) and ends the processes
// that they leave behind. kept_shell.hpp has the shells with a name.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "server/run/shell.hpp"
#include "server/run/termination.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class ConnectionShells {
  public:
    using Time = EventLoop::Time;
    // Returns when the grace period ends, for what a client wants for a lost connection.
    using ExpiresAt = std::function<Time(const OnDisconnect&)>;

    // All are lent.
    ConnectionShells(EventLoop& loop, Link& link, const LaunchContext& launch)
        : loop_(loop), link_(link), launch_(launch) {}

    // Starts a shell. If it cannot start, reports that to the client and returns false. Throws
    // ProtocolError if the client has a shell of that number.
    bool open(const msg::ShellOpen& open);
    // Refuses to start a shell. Throws as open().
    void refuse(const msg::ShellOpen& open, const std::string& message);
    void close(const msg::ShellClose& close);
    // Returns the shell, lent; null if there is none.
    [[nodiscard]] Shell* find(ShellId id) const;
    // Returns why find() has no shell of that number, for a run in it.
    [[nodiscard]] std::string why_missing(ShellId id) const;

    // Returns the shells that a client that has resumed can still use.
    [[nodiscard]] std::vector<ShellId> usable() const;
    // Reports each usable shell that is ready, for a client that has resumed.
    void report_ready();
    // Reports the ends of shells again: the client may have lost the reports with its connection.
    void report_ended() const;
    // Returns true if the client, should it return, is to learn that a shell has ended.
    [[nodiscard]] bool has_reports() const { return !reports_.empty(); }

    // Ends all shells, and keeps no report of an end. `first` is the first step.
    void end_all(Termination::First first, Time now);
    // Ends the shells, and removes the reports, whose grace period has ended.
    void end_expired(const ExpiresAt& expires_at, Time now);
    // Returns when the next grace period ends; kNever if all shells are being ended.
    [[nodiscard]] Time next_expiry(const ExpiresAt& expires_at) const;
    // Ends the orphans: processes that shells left running when they died.
    void end_orphans(Termination::First first, Time now);
    // Lets the orphans go on.
    void forget_orphans() { orphans_.clear(); }
    // Reports and removes the shells that have ended.
    void remove_finished();

    // Returns true if there is no shell.
    [[nodiscard]] bool empty() const { return shells_.empty(); }
    // Returns true if there is no shell, and no orphan is being ended.
    [[nodiscard]] bool is_idle() const { return shells_.empty() && terminations_.empty(); }
    // Returns false if the child is not one of the shells.
    bool child_exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

  private:
    // The end of a shell, and what its client wants for a lost connection.
    struct Report {
        msg::ShellEnded ended;
        OnDisconnect wish;
    };
    void report_ready(const Shell& shell);
    void report_refusal(ShellId id, const NotStarted& why);
    void add_orphans_of(const Shell& shell);

    EventLoop& loop_;
    Link& link_;
    const LaunchContext& launch_;
    std::map<ShellId, std::unique_ptr<Shell>> shells_;
    // Where to find the orphans. They may run as long as the client is connected.
    std::vector<ProcessOrigin> orphans_;
    std::vector<Termination> terminations_;
    // A client sends the first run of a shell before it can have read the refusal.
    std::optional<std::pair<ShellId, std::string>> last_refused_;
    std::vector<Report> reports_;  // The last ends, at most kMaxShells.
};

}  // namespace frsh
