#include "client/connection/child_tree.hpp"

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"
#include "common/sys/wait.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <vector>

#include <poll.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 300ms;

// Returns the process and its descendants. The command shares its process group with this process,
// so that it can ask on the terminal; a signal to the group would be one to this process, too.
std::vector<ProcessInfo> tree_of(pid_t root) {
    std::vector<ProcessInfo> tree;
    const std::vector<ProcessInfo> all = list_processes();
    const auto is_in_tree = [&tree](pid_t pid) {
        return std::any_of(tree.begin(), tree.end(),
                           [pid](const ProcessInfo& one) { return one.pid == pid; });
    };
    for (const ProcessInfo& process : all) {
        if (process.pid == root) tree.push_back(process);
    }
    for (std::size_t before = 0; before != tree.size();) {
        before = tree.size();
        for (const ProcessInfo& process : all) {
            if (is_in_tree(process.parent) && !is_in_tree(process.pid)) tree.push_back(process);
        }
    }
    return tree;
}

}  // namespace

void end_tree(const Spawned& child) {
    const std::vector<ProcessInfo> tree = tree_of(child.pid);
    for (const ProcessInfo& process : tree)
        (void)send_signal(process, SIGTERM);
    const auto is_left = [](const ProcessInfo& process) { return is_there(process); };
    const auto deadline = EventLoop::Clock::now() + kPatience;
    (void)wait_for_events(child.pidfd.get(), POLLIN, deadline);
    while (std::any_of(tree.begin(), tree.end(), is_left) && EventLoop::Clock::now() < deadline)
        (void)wait_for_events(-1, 0, std::min(deadline, EventLoop::Clock::now() + 10ms));
    for (const ProcessInfo& process : tree_of(child.pid))
        (void)send_signal(process, SIGKILL);
    for (const ProcessInfo& process : tree)
        (void)send_signal(process, SIGKILL);
    (void)::kill(child.pid,
                 SIGKILL);  // Not reaped yet: the pid is the child's, also without /proc.
    (void)wait_for(child.pid);
}

}  // namespace frsh
