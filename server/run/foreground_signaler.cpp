#include "server/run/foreground_signaler.hpp"

#include "common/sys/pty.hpp"

#include <algorithm>
#include <csignal>
#include <string>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// The pause before the next look doubles from the first one: 10, 20, ... 320 ms.
constexpr int kMaxForegroundLooks = 6;
constexpr auto kFirstLookPause = 10ms;

}  // namespace

void ForegroundSignaler::send(int signal, Shell shell) {
    signal_ = signal;
    groups_.clear();
    signaled_.clear();
    processor_ = 0;
    looks_ = 0;
    const Time now = EventLoop::Clock::now();
    if (shell == Shell::HasIt) return follow_key(now);
    if (terminal_ >= 0 && process_sight() == Sight::None) {
        // Without /proc, the group gets the signal as from the terminal's own keys.
        ::kill(-foreground_group(terminal_), signal);
        return;
    }
    if (terminal_ >= 0) return look_for_job(now);
    for (const auto& [process, is_copy] : look_at_foreground(shell_, true).members) {
        if (is_copy) signaled_.emplace(process.pid, true);
    }
    ::kill(-shell_, signal);
    if (!signaled_.empty()) next_look_ = now + kFirstLookPause;
}

// A fork of the shell may lose the signal: until it resets its signals it handles them as bash
// does, and then it becomes a program. A program has the signal from the terminal.
void ForegroundSignaler::follow_key(Time now) {
    next_look_ = EventLoop::kNever;
    if (process_sight() == Sight::None) return;
    const pid_t group = foreground_group(terminal_);
    if (group != shell_) groups_.insert(group);
    bool may_change = group == shell_;
    for (const auto& [process, is_copy] : look_at_foreground(group, true).members) {
        may_change |= is_copy;
        const bool has_it = !is_copy || !ignores_signal(process.pid, SIGQUIT);
        if (has_it) signaled_.emplace(process.pid, is_copy);
    }
    signaled_.emplace(shell_, false);
    if (may_change) next_look_ = now + kFirstLookPause;
}

void ForegroundSignaler::tick(Time now) {
    if (now < next_look_) return;
    terminal_ >= 0 ? look_for_job(now) : look_for_programs(now);
}

void ForegroundSignaler::look_for_programs(Time now) {
    next_look_ = EventLoop::kNever;
    bool is_any_left = false;
    for (const auto& [process, is_copy] : look_at_foreground(shell_, true).members) {
        if (!signaled_.contains({process.pid, true})) continue;
        is_any_left |= is_copy;
        if (!is_copy && signaled_.emplace(process.pid, false).second) {
            (void)send_signal(process, signal_);
        }
    }
    if (is_any_left && looks_ < kMaxForegroundLooks) {
        next_look_ = now + kFirstLookPause * (1 << looks_++);
    }
}

void ForegroundSignaler::look_for_job(Time now) {
    next_look_ = EventLoop::kNever;
    const pid_t group = foreground_group(terminal_);
    const bool is_last = looks_ == kMaxForegroundLooks;
    if (group != shell_) groups_.insert(group);
    const Foreground found = look_at_foreground(group, is_last);
    // A short job may have ended since the look.
    const bool is_job =
        group != shell_ &&
        std::any_of(found.members.begin(), found.members.end(), [&](const auto& one) {
            return one.first.group == group && is_there(one.first);
        });
    if (found.are_all_ready) send_to(found, group, is_job);
    if (is_last || (is_job && !found.may_change)) return;
    next_look_ = now + kFirstLookPause * (1 << looks_);
    // A look counts only if the copies could run since the last one: not on a busy machine.
    const bool has_moved = std::exchange(processor_, found.processor) != found.processor;
    if (has_moved || !found.is_held_up) ++looks_;
}

void ForegroundSignaler::send_to(const Foreground& found, pid_t group, bool is_job) {
    const bool is_first = signaled_.empty();
    // One kill(2) for the whole group, so that no member can fork between two signals.
    const bool is_for_all = group != shell_ && group > 0 && is_first;
    if (is_for_all) ::kill(-group, signal_);
    // If a job has just ended, bash takes the terminal back now and runs nothing. Bash survives an
    // interrupt; any other signal was for the job.
    if (!is_job && is_first && (signal_ == SIGINT || groups_.empty())) {
        signaled_.emplace(shell_, false);
        ::kill(shell_, signal_);
    }
    for (const auto& [process, is_copy] : found.members) {
        const bool is_new = signaled_.emplace(process.pid, is_copy).second;
        const bool has_it = is_for_all && process.group == group;
        if (is_new && !has_it) (void)send_signal(process, signal_);
    }
}

ForegroundSignaler::Foreground ForegroundSignaler::look_at_foreground(pid_t group,
                                                                      bool is_last) const {
    Foreground found;
    const std::string arguments = arguments_of(shell_);
    for (ProcessInfo& one : list_processes()) {
        if (one.session != shell_ || one.is_exiting) continue;
        // A fork that dies of an interrupt gives the terminal back although others of its job
        // live, so an earlier foreground group still counts.
        const bool is_here = one.group == group || groups_.contains(one.group);
        const bool is_shell = one.pid == shell_;
        const bool is_copy = !is_shell && !arguments.empty() && arguments_of(one.pid) == arguments;
        // Bash ignores QUIT, and its forks set the signals of a job in the order of their numbers.
        // So a fork that does not ignore QUIT (3) has set INT (2), too.
        const bool is_ready = !is_copy || is_last || !ignores_signal(one.pid, SIGQUIT);
        if (is_shell || !is_ready || (is_copy && is_here)) {
            found.may_change |= !is_shell;
            found.processor += one.processor;
            found.is_held_up |= one.state == 'R' || one.state == 'D';
        }
        found.are_all_ready &= is_ready;
        if (is_here && !is_shell) found.members.emplace_back(std::move(one), is_copy);
    }
    return found;
}

}  // namespace frsh
