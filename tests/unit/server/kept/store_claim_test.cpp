// A claim that is killed, and a shell's name that passes to the next shell meanwhile.
#include "common/base/error.hpp"
#include "server/kept/store.hpp"
#include "tests/support/ssh_tools.hpp"

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

using frsh::KeptRunInfo;
using frsh::Store;

namespace {

// The session that claims in these tests. The other members are those of any run.
KeptRunInfo shell_info(std::uint64_t generation) {
    KeptRunInfo info;
    info.run = "shell";
    info.args = {"make all"};
    info.is_shell = true;
    info.generation = generation;
    info.started_at = 1000;
    info.session = "k3v9q0w2x7m1c5tz";
    return info;
}

// Claims in a child process and kills it when it enters or leaves its system call number `stops`.
// Returns false if the claim was complete before that.
bool kill_claim_after(int stops, const std::string& runs) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        (void)::raise(SIGSTOP);
        Store store(runs);
        const auto claimed = store.claim(shell_info(1));
        ::_exit(claimed ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    for (int i = 0; i < stops && WIFSTOPPED(status); ++i) {
        (void)::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
        REQUIRE(::waitpid(child, &status, 0) == child);
    }
    if (!WIFSTOPPED(status)) {
        CHECK(WEXITSTATUS(status) == 0);
        return false;
    }
    (void)::kill(child, SIGKILL);
    (void)::waitpid(child, &status, 0);
    return true;
}

std::string end_shell(Store& store, std::uint64_t generation) {
    const auto folder = store.claim(shell_info(generation));
    REQUIRE(folder);
    frsh::msg::End end;
    end.run = "shell";
    end.outcome = frsh::Exited{0};
    folder->end(end);
    return folder->path();
}

}  // namespace

TEST_CASE("run store: a claim killed at any system call leaves the id free or the run lost") {
    int found_lost = 0;
    int found_free = 0;
    for (int stops = 1;; ++stops) {
        const frsh::test::TempFolder folder;
        const std::string runs = folder / "frsh/runs";
        if (!kill_claim_after(stops, runs)) break;
        CAPTURE(stops);
        Store store(runs);
        const auto found = store.find("shell");
        if (!found) {
            ++found_free;
            CHECK(store.claim(shell_info(2)));
            continue;
        }
        ++found_lost;
        CHECK(found->form == Store::Form::Kept);
        CHECK(found->info.args == shell_info(1).args);
        CHECK_FALSE(found->is_running);
        CHECK_FALSE(found->end);
        CHECK(found->why_lost == "its session died before it ended");
    }
    CHECK(found_free > 0);
    CHECK(found_lost > 0);
}

TEST_CASE("run store: a report is noted once, and never for the next shell of the name") {
    const frsh::test::TempFolder folder;
    Store store(folder / "frsh/runs");
    (void)end_shell(store, 1);
    CHECK(store.note_report(shell_info(1)));
    CHECK_FALSE(store.note_report(shell_info(1)));
    store.forget_shell(shell_info(1));
    CHECK_FALSE(store.note_report(shell_info(1)));
    const std::string next = end_shell(store, 2);
    CHECK_FALSE(store.note_report(shell_info(1)));
    CHECK_FALSE(std::filesystem::exists(next + "/reported"));
    CHECK(store.note_report(shell_info(2)));
}

TEST_CASE("run store: a dead shell is removed, and never the next shell of its name") {
    const frsh::test::TempFolder folder;
    Store store(folder / "frsh/runs");
    (void)end_shell(store, 1);
    store.forget_shell(shell_info(1));
    (void)end_shell(store, 2);
    CHECK_THROWS_AS(store.forget_shell(shell_info(1)), frsh::SysError);
    CHECK(store.find("shell"));
}
