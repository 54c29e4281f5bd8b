#include "server/session/connection_shells.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

namespace frsh {
namespace {

// Between the steps of ending an orphan.
constexpr std::chrono::seconds kOrphanGrace{2};

}  // namespace

void ConnectionShells::refuse(const msg::ShellOpen& open, const std::string& message) {
    if (shells_.contains(open.shell)) throw ProtocolError("a shell that is already open");
    report_refusal(open.shell, {"shell", 0, message});
}

void ConnectionShells::report_refusal(ShellId id, const NotStarted& why) {
    last_refused_ = {id, why.message};
    link_.send(msg::ShellEnded{id, why});
}

std::string ConnectionShells::why_missing(ShellId id) const {
    return last_refused_ && last_refused_->first == id ? last_refused_->second
                                                       : "the shell has ended";
}

bool ConnectionShells::open(const msg::ShellOpen& open) {
    // A client that has not received `shell_ready` asks again for a shell that is being ended. The
    // report of its end answers that.
    if (const Shell* const shell = find(open.shell); shell != nullptr && shell->is_ending()) {
        return false;
    }
    if (shells_.contains(open.shell)) throw ProtocolError("a shell that is already open");
    if (shells_.size() >= kMaxShells) {
        refuse(open, "more than " + std::to_string(kMaxShells) + " shells at once");
        return false;
    }
    std::erase_if(reports_, [&](const Report& one) { return one.ended.shell == open.shell; });
    NotStarted why{"shell", 0, ""};
    try {
        shells_.emplace(open.shell,
                        std::make_unique<Shell>(loop_, open, launch_, [this](const Shell& shell) {
                            report_ready(shell);
                        }));
        return true;
    } catch (const SysError& error) {
        why.error = error.code().value();
        why.message = error.what();
    } catch (const UserError& error) {
        why.message = error.what();
    }
    report_refusal(open.shell, why);
    return false;
}

void ConnectionShells::close(const msg::ShellClose& close) {
    // If there is no such shell, it has ended by itself and the report is on its way.
    if (Shell* const shell = find(close.shell)) shell->close();
}

Shell* ConnectionShells::find(ShellId id) const {
    const auto found = shells_.find(id);
    return found == shells_.end() ? nullptr : found->second.get();
}

void ConnectionShells::report_ready(const Shell& shell) {
    link_.send(msg::ShellReady{shell.id(), shell.pid(), shell.kind(), shell.cwd(),
                               launch_.user.home, shell.has_terminal(), shell.lacks_startup()});
}

std::vector<ShellId> ConnectionShells::usable() const {
    std::vector<ShellId> usable;
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) usable.push_back(id);
    }
    return usable;
}

void ConnectionShells::report_ready() {
    for (const auto& [id, shell] : shells_) {
        if (shell->is_ready() && !shell->is_ending()) report_ready(*shell);
    }
}

void ConnectionShells::report_ended() const {
    for (const Report& report : reports_)
        link_.send(report.ended);
}

void ConnectionShells::end_all(Termination::First first, Time now) {
    reports_.clear();
    for (const auto& [id, shell] : shells_)
        shell->end(first, now);
}

void ConnectionShells::end_expired(const ExpiresAt& expires_at, Time now) {
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending() && now >= expires_at(shell->on_disconnect())) {
            shell->end(Termination::First::HangUp, now);
        }
    }
    std::erase_if(reports_, [&](const Report& report) { return now >= expires_at(report.wish); });
}

EventLoop::Time ConnectionShells::next_expiry(const ExpiresAt& expires_at) const {
    Time next = EventLoop::kNever;
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) next = std::min(next, expires_at(shell->on_disconnect()));
    }
    for (const Report& report : reports_)
        next = std::min(next, expires_at(report.wish));
    return next;
}

void ConnectionShells::end_orphans(Termination::First first, Time now) {
    for (ProcessOrigin& origin : orphans_)
        terminations_.emplace_back(std::move(origin), first, kOrphanGrace, now);
    orphans_.clear();
}

void ConnectionShells::add_orphans_of(const Shell& shell) {
    orphans_.push_back(shell.origin());
    // A connection may use up many shells, so the list keeps only what still runs.
    std::erase_if(orphans_, [](const ProcessOrigin& origin) {
        const Started started = started_by(origin);
        return started.processes.empty() && started.is_sure;
    });
}

void ConnectionShells::remove_finished() {
    std::erase_if(shells_, [this](const auto& entry) {
        const Shell& shell = *entry.second;
        if (!shell.is_over()) return false;
        // The client closed the shell, so what the shell left running is let go.
        if (!shell.is_closed()) add_orphans_of(shell);
        reports_.push_back(
            {{shell.id(), as_outcome(real_end(*shell.status()))}, shell.on_disconnect()});
        link_.send(reports_.back().ended);
        return true;
    });
    if (reports_.size() > kMaxShells) {
        reports_.erase(reports_.begin(), reports_.end() - std::ptrdiff_t{kMaxShells});
    }
    std::erase_if(terminations_, [](const Termination& ending) { return ending.is_done(); });
}

bool ConnectionShells::child_exited(const ExitStatus& status) {
    for (const auto& [id, shell] : shells_) {
        if (!shell->awaits(status.pid)) continue;
        shell->exited(status);
        return true;
    }
    return false;
}

void ConnectionShells::tick(Time now) {
    for (const auto& [id, shell] : shells_)
        shell->tick(now);
    for (Termination& ending : terminations_)
        ending.tick(now);
}

EventLoop::Time ConnectionShells::next_deadline() const {
    Time next = EventLoop::kNever;
    for (const auto& [id, shell] : shells_)
        next = std::min(next, shell->next_deadline());
    for (const Termination& ending : terminations_)
        next = std::min(next, ending.next_deadline());
    return next;
}

}  // namespace frsh
