#include "client/connection/child_tree.hpp"

#include "client/connection/via.hpp"
#include "common/base/error.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process_table.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

using namespace frsh;

namespace {

bool is_alive(pid_t pid) {
    const auto all = list_processes();
    return std::any_of(all.begin(), all.end(), [&](const ProcessInfo& one) {
        return one.pid == pid && one.state != 'Z' && one.state != 'X';
    });
}

// Starts a command that prints a pid, and returns both.
std::pair<Via, pid_t> start_and_read_pid(const std::string& script) {
    Via via = start_via("sh -c '" + script + "'");
    std::string text;
    pollfd polled{via.socket.get(), POLLIN, 0};
    while (text.find('\n') == std::string::npos) {
        REQUIRE(::poll(&polled, 1, 20'000) == 1);
        char buffer[64];
        const IoResult got = read_some(via.socket.get(), buffer, sizeof buffer);
        REQUIRE(got.status == IoResult::Status::Done);
        text.append(buffer, got.bytes);
    }
    return {std::move(via), std::atoi(text.c_str())};
}

void wait_for_end(const Via& via) {
    pollfd polled{via.child.pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&polled, 1, 20'000) == 1);
}

}  // namespace

TEST_CASE("child tree: what a command has started ends, also after the command") {
    // The child keeps no stream, and the command ends as its stdin does.
    auto [via, pid] = start_and_read_pid("sleep 8002 <&- >&- 2>&- & echo $!; exec cat >/dev/null");
    via.socket.close();
    wait_for_end(via);
    CHECK(is_alive(pid));
    end_tree(via.child);
    CHECK_FALSE(is_alive(pid));
}

TEST_CASE("child tree: a daemon that has left the session stays") {
    auto [via, pid] = start_and_read_pid(
        "setsid sh -c \"echo \\$\\$; exec sleep 8003 <&- >&- 2>&-\" & exec cat >/dev/null");
    via.socket.close();
    wait_for_end(via);
    end_tree(via.child);
    CHECK(is_alive(pid));
    ::kill(pid, SIGKILL);
}
