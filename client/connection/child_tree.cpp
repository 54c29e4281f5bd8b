#include "client/connection/child_tree.hpp"

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"
#include "common/sys/wait.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string_view>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 300ms;
constexpr std::string_view kMark = "FRSH_VIA=";
// How often processes are looked for that were started while others were killed.
constexpr int kMaxRounds = 10;

// Returns the child and what it has started. The command shares its process group with this
// process, so that it can ask on the terminal; a signal to the group would be one to this process,
// too. If the child itself has ended, its children have another parent, and the mark finds them.
std::vector<ProcessInfo> tree_of(const MarkedChild& child) {
    std::vector<ProcessInfo> tree = started_by({child.pid, {}}).processes;
    const pid_t session = ::getsid(0);
    for (const ProcessInfo& orphan : started_by({0, {child.mark}}).processes) {
        const bool is_known = std::any_of(tree.begin(), tree.end(), [&](const ProcessInfo& one) {
            return one.pid == orphan.pid;
        });
        if (orphan.session == session && !is_known) tree.push_back(orphan);
    }
    return tree;
}

}  // namespace

std::string new_child_mark() {
    const auto now = EventLoop::Clock::now().time_since_epoch();
    return std::string(kMark) + std::to_string(::getpid()) + "-" + std::to_string(now.count());
}

void set_child_mark(std::vector<std::string>& environment, const std::string& mark) {
    std::erase_if(environment, [](const std::string& entry) { return entry.starts_with(kMark); });
    environment.push_back(mark);
}

void end_tree(const MarkedChild& child) {
    const std::vector<ProcessInfo> tree = tree_of(child);
    for (const ProcessInfo& process : tree)
        (void)send_signal(process, SIGTERM);
    const auto is_left = [](const ProcessInfo& process) { return is_there(process); };
    const auto deadline = EventLoop::Clock::now() + kPatience;
    (void)wait_for_events(child.pidfd.get(), POLLIN, deadline);
    while (std::any_of(tree.begin(), tree.end(), is_left) && EventLoop::Clock::now() < deadline)
        (void)wait_for_events(-1, 0, std::min(deadline, EventLoop::Clock::now() + 10ms));
    for (const ProcessInfo& process : tree)
        (void)send_signal(process, SIGKILL);
    (void)::kill(child.pid,
                 SIGKILL);  // Not reaped yet: the pid is the child's, also without /proc.
    // The child is reaped last: until then, its pid names no other process.
    for (int round = 0; round < kMaxRounds; ++round) {
        const std::vector<ProcessInfo> rest = tree_of(child);
        if (rest.empty()) break;
        for (const ProcessInfo& process : rest)
            (void)send_signal(process, SIGKILL);
    }
    (void)wait_for(child.pid);
}

}  // namespace frsh
