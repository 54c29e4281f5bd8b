#include "server/listener/endings.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/fd.hpp"
#include "server/run/termination.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <string>
#include <utility>

#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// From SIGHUP to SIGKILL.
constexpr auto kEndingGrace = 2s;
constexpr auto kForkRetry = 100ms;

// Gives up all rights but the owner's.
void become_owner(const Endings::Owner& owner) {
    if (::geteuid() != 0) return;
    check(::setgroups(0, nullptr), "setgroups");
    check(::setresgid(owner.gid, owner.gid, owner.gid), "setresgid");
    check(::setresuid(owner.uid, owner.uid, owner.uid), "setresuid");
}

void end_all(const std::vector<ProcessOrigin>& origins) {
    std::vector<Termination> terminations;
    for (const ProcessOrigin& origin : origins) {
        terminations.emplace_back(origin, Termination::First::HangUp, kEndingGrace,
                                  EventLoop::Clock::now());
    }
    while (!terminations.empty()) {
        EventLoop::Time next = EventLoop::kNever;
        for (Termination& one : terminations) {
            one.tick(EventLoop::Clock::now());
            next = std::min(next, one.next_deadline());
        }
        std::erase_if(terminations, [](const Termination& one) { return one.is_done(); });
        const auto pause =
            std::chrono::ceil<std::chrono::milliseconds>(next - EventLoop::Clock::now());
        if (!terminations.empty() && pause > 0ms) {
            ::poll(nullptr, 0, static_cast<int>(pause.count()));
        }
    }
}

[[noreturn]] void run_ending(const Endings::Owner& owner,
                             const std::vector<ProcessOrigin>& origins) {
    int status = 1;
    try {
        ::setsid();  // Ctrl-C at the server's terminal ends the listener only.
        close_all_but({});
        ::prctl(PR_SET_NAME, "frshd-ending");
        become_owner(owner);
        end_all(origins);
        status = 0;
    } catch (const std::exception& error) {
        log::error(std::string("what a session left is not ended: ") + error.what());
    }
    ::_exit(status);
}

}  // namespace

void Endings::add(const Owner& owner, ProcessOrigin origin) {
    Work& work = waiting_[owner.uid];
    work.gid = owner.gid;
    work.origins.push_back(std::move(origin));
}

bool Endings::is_running(uid_t uid) const {
    return std::any_of(running_.begin(), running_.end(),
                       [uid](const auto& one) { return one.second == uid; });
}

void Endings::fork_due(Time now) {
    if (now < fork_again_) return;
    for (auto work = waiting_.begin(); work != waiting_.end();) {
        const uid_t uid = work->first;
        if (is_running(uid)) {
            ++work;
            continue;
        }
        const pid_t pid = ::fork();
        if (pid == 0) run_ending({uid, work->second.gid}, work->second.origins);
        if (pid == -1) {
            log::error(SysError("fork").what());
            fork_again_ = now + kForkRetry;
            return;
        }
        running_[pid] = uid;
        work = waiting_.erase(work);
    }
}

bool Endings::reaped(pid_t pid) {
    return running_.erase(pid) != 0;
}

Endings::Time Endings::next_deadline() const {
    const bool is_due = std::any_of(waiting_.begin(), waiting_.end(),
                                    [this](const auto& work) { return !is_running(work.first); });
    return is_due ? fork_again_ : EventLoop::kNever;
}

}  // namespace frsh
