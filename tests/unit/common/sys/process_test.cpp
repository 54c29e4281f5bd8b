#include "common/sys/process.hpp"

#include "common/base/text.hpp"
#include "common/sys/process_table.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

using frsh::ExitStatus;
using frsh::Fd;
using frsh::Spawned;
using frsh::SpawnFailure;
using frsh::SpawnRequest;

namespace {

SpawnRequest request_for(std::vector<std::string> argv) {
    SpawnRequest request;
    request.argv = std::move(argv);
    request.programs = frsh::search_path(request.argv[0], "/usr/local/bin:/usr/bin:/bin");
    request.env = {"PATH=/usr/local/bin:/usr/bin:/bin"};
    return request;
}

SpawnRequest shell(const std::string& command) {
    return request_for({"sh", "-c", command});
}

ExitStatus run(const SpawnRequest& request) {
    auto result = frsh::spawn(request);
    REQUIRE(std::holds_alternative<Spawned>(result));
    return frsh::wait_for(std::get<Spawned>(result).pid);
}

std::string output_of(SpawnRequest request) {
    frsh::Pipe pipe = frsh::make_pipe();
    request.stdio[1] = pipe.write_end.get();
    auto result = frsh::spawn(request);
    REQUIRE(std::holds_alternative<Spawned>(result));
    pipe.write_end.close();
    std::string all;
    char buffer[4096];
    for (;;) {
        const auto got = frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer);
        if (got.status == frsh::IoResult::Status::EndOfFile) break;
        all.append(buffer, got.bytes);
    }
    frsh::wait_for(std::get<Spawned>(result).pid);
    return all;
}

SpawnFailure failure_of(const SpawnRequest& request) {
    auto result = frsh::spawn(request);
    REQUIRE(std::holds_alternative<SpawnFailure>(result));
    return std::get<SpawnFailure>(result);
}

bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

}  // namespace

TEST_CASE("process: death by a signal differs from an exit code") {
    const ExitStatus exited = run(shell("exit 137"));
    CHECK_FALSE(exited.signaled);
    CHECK(exited.code == 137);
    const ExitStatus killed = run(shell("kill -KILL $$"));
    CHECK(killed.signaled);
    CHECK(killed.signal == SIGKILL);
}

TEST_CASE(
    "process: a program that cannot be executed is told with its reason, and leaves no zombie") {
    const SpawnFailure missing = failure_of(request_for({"no-such-program-of-ours"}));
    CHECK(missing.stage == SpawnFailure::Stage::Exec);
    CHECK(missing.error == ENOENT);
    CHECK(failure_of(request_for({"/etc/passwd/x"})).error != 0);
    CHECK(failure_of(request_for({"/etc"})).error == EACCES);
    SpawnRequest nothing = shell("true");
    nothing.programs.clear();
    CHECK(failure_of(nothing).error == ENOENT);
    CHECK_FALSE(frsh::reap());
}

TEST_CASE("process: PATH is searched as execvp(3) does") {
    using Strings = std::vector<std::string>;
    CHECK(frsh::search_path("a/b", "/x:/y") == Strings{"a/b"});
    CHECK(frsh::search_path("a", "/x::/y") == Strings{"/x/a", "./a", "/y/a"});
    CHECK(frsh::search_path("", "/x").empty());
    SpawnRequest request = request_for({"true"});
    // A folder without it is passed over, one that may not be searched is remembered only.
    request.programs = {"/nowhere/true", "/etc/passwd/true", "/etc/passwd", "/usr/bin/true"};
    CHECK(run(request).code == 0);
    request.programs.pop_back();
    CHECK(failure_of(request).error == EACCES);
}

TEST_CASE("process: a missing folder fails at the stage cwd") {
    SpawnRequest request = shell("true");
    request.cwd = "/no/such/folder";
    const SpawnFailure failure = failure_of(request);
    CHECK(failure.stage == SpawnFailure::Stage::Cwd);
    CHECK(failure.error == ENOENT);
    request = request_for({"pwd"});
    request.cwd = "/usr";
    CHECK(output_of(request) == "/usr\n");
}

TEST_CASE("process: the child inherits exactly its three descriptors") {
    // One that is not close-on-exec, as a careless parent would leave it to us.
    const Fd careless(::open("/dev/null", O_RDONLY));
    REQUIRE(::fcntl(careless.get(), F_SETFD, 0) == 0);
    CHECK(output_of(request_for({"ls", "/proc/self/fd"})) == "0\n1\n2\n3\n");
}

TEST_CASE("process: an extra descriptor has the requested number") {
    frsh::Pipe pipe = frsh::make_pipe();
    SpawnRequest request = shell("echo lent >&7; ls /proc/self/fd");
    request.extra = {{pipe.write_end.get(), 7}};
    CHECK(output_of(request) == "0\n1\n2\n3\n7\n");
    char buffer[16];
    CHECK(frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer).bytes == 5);
}

TEST_CASE("process: any of the parent's descriptors may be a stream") {
    frsh::Pipe pipe = frsh::make_pipe();
    SpawnRequest request = shell("echo out; echo err >&2");
    // stdout and stderr are one pipe; stdin is this process's stdout.
    request.stdio = {STDOUT_FILENO, -1, pipe.write_end.get()};
    CHECK(output_of(request) == "out\n");
    pipe.write_end.close();
    char buffer[16];
    CHECK(frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer).bytes == 4);
}

TEST_CASE("process: the child has default signals and its own session") {
    sigset_t mask;
    sigset_t before;
    sigfillset(&mask);
    ::sigprocmask(SIG_SETMASK, &mask, &before);
    std::signal(SIGUSR2, SIG_IGN);
    const std::string status =
        output_of(request_for({"grep", "-E", "SigBlk|SigIgn", "/proc/self/status"}));
    std::signal(SIGUSR2, SIG_DFL);
    sigset_t after;
    ::sigprocmask(SIG_SETMASK, &before, &after);
    CHECK(status == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    CHECK_MESSAGE(sigismember(&after, SIGUSR1) == 1, "our own mask is as it was");
    CHECK(run(shell("kill -PIPE $$")).signal == SIGPIPE);

    const std::string sessions = output_of(shell("echo $$; cut -d' ' -f5,6 /proc/self/stat"));
    const auto lines = frsh::split(sessions, '\n');
    CHECK(lines[1] == std::string(lines[0]) + " " + std::string(lines[0]));
}

TEST_CASE("process: reaping never blocks and returns the usage") {
    CHECK_FALSE(frsh::reap());
    auto result = frsh::spawn(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; read x"));
    frsh::Spawned& child = std::get<Spawned>(result);
    pollfd ended{child.pidfd.get(), POLLIN, 0};
    CHECK(::poll(&ended, 1, 20'000) == 1);
    const auto status = frsh::reap(child.pid);
    REQUIRE(status);
    CHECK(status->pid == child.pid);
    CHECK(status->code == 1);  // read(1) met the end of /dev/null.
    CHECK(status->user_seconds + status->system_seconds > 0);
    CHECK(status->max_rss_kib > 0);
    CHECK_FALSE(frsh::reap(child.pid));
}

// Another user's unit tests may run beside these.
std::string own_mark() {
    return "FRSH_TEST_MARK=" + std::to_string(::getpid()) + ".";
}

TEST_CASE("process table: descendants are found by tree, session, mark") {
    frsh::Pipe pipe = frsh::make_pipe();
    SpawnRequest request = shell(
        "sleep 70 & (setsid sleep 71 &) ; (sleep 72 &) ; (FRSH_TEST_MARK=other setsid sleep 73 &) "
        "; "
        "echo; wait");
    request.env.emplace_back(own_mark());
    request.stdio[1] = pipe.write_end.get();
    auto result = frsh::spawn(request);
    REQUIRE(std::holds_alternative<Spawned>(result));
    const pid_t pid = std::get<Spawned>(result).pid;
    const auto names = [&](std::string_view mark) {
        std::vector<std::string> marks;
        if (!mark.empty()) marks.emplace_back(mark);
        std::vector<std::string> found;
        for (const auto& process : frsh::started_by({pid, marks}).processes)
            found.push_back(process.name);
        std::sort(found.begin(), found.end());
        return found;
    };
    using Strings = std::vector<std::string>;
    // The process with another mark has left tree, session and mark, so it cannot be found.
    CHECK(wait_until([&] {
        return names(own_mark()) == Strings{"sh", "sleep", "sleep", "sleep"};
    }));
    CHECK(wait_until([&] { return names("") == Strings{"sh", "sleep", "sleep"}; }));
    CHECK(names(own_mark().substr(0, own_mark().size() - 1)) == names(""));

    const std::string pipe_name = frsh::descriptor_name(pipe.read_end.get());
    CHECK(frsh::holders_of(pipe_name).size() == 5);

    for (const auto& process : frsh::holders_of(pipe_name)) {
        CHECK(frsh::send_signal(process, SIGKILL) == frsh::Delivery::Sent);
    }
    frsh::wait_for(pid);
    CHECK(wait_until([&] { return frsh::holders_of(pipe_name).empty(); }));
    CHECK(wait_until([&] { return names(own_mark()).empty(); }));
}

TEST_CASE(
    "process table: who is between two programs is found, or it is said that he may be there") {
    // If it is not ended, its limit of one minute ends it.
    SpawnRequest request = shell("ulimit -t 60; setsid sh -c \"$LOOP\" >/dev/null & echo $!");
    request.env.emplace_back(own_mark());
    request.env.emplace_back("LOOP=exec sh -c \"$LOOP\"");
    const pid_t pid = static_cast<pid_t>(std::stoi(output_of(request)));
    // It has a session of its own and its parent has ended: only the mark shows its origin.
    const frsh::ProcessOrigin origin{0, {own_mark()}, {}};
    int sure = 0;
    int unsure = 0;
    bool was_lost = false;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while ((sure < 20 || unsure < 20) && std::chrono::steady_clock::now() < deadline) {
        const auto [processes, is_sure] = frsh::started_by(origin);
        const bool is_found = processes.size() == 1 && processes[0].pid == pid;
        was_lost |= !is_found && (is_sure || !processes.empty());
        ++(is_found ? sure : unsure);
    }
    CHECK_FALSE(was_lost);
    CHECK(sure >= 20);
    CHECK(unsure >= 20);
    CHECK(::kill(pid, SIGKILL) == 0);
    CHECK(wait_until([&] { return frsh::started_by(origin).processes.empty(); }));
}

TEST_CASE("process table: a signal never reaches another process's pid") {
    auto result = frsh::spawn(shell("exec sleep 60"));
    const pid_t pid = std::get<Spawned>(result).pid;
    std::optional<frsh::ProcessInfo> found;
    for (const auto& process : frsh::list_processes()) {
        if (process.pid == pid) found = process;
    }
    REQUIRE(found);
    frsh::ProcessInfo earlier = *found;
    --earlier.start;
    CHECK(frsh::send_signal(earlier, SIGKILL) == frsh::Delivery::Gone);
    CHECK(frsh::send_signal(*found, SIGKILL) == frsh::Delivery::Sent);
    // A zombie is gone already.
    CHECK(wait_until([&] { return frsh::started_by({pid, {}}).processes.empty(); }));
    CHECK(frsh::send_signal(*found, SIGKILL) == frsh::Delivery::Gone);
    CHECK(frsh::wait_for(pid).signal == SIGKILL);
    CHECK(frsh::send_signal(*found, SIGKILL) == frsh::Delivery::Gone);
}

TEST_CASE("process table: arguments, group and ignored signals are read") {
    auto result = frsh::spawn(shell("trap '' INT; exec sleep 60"));
    const pid_t pid = std::get<Spawned>(result).pid;
    CHECK(wait_until([&] { return frsh::arguments_of(pid) == std::string("sleep\00060\0", 9); }));
    CHECK(frsh::ignores_signal(pid, SIGINT));
    CHECK_FALSE(frsh::ignores_signal(pid, SIGQUIT));
    const auto found = frsh::started_by({pid, {}}).processes;
    REQUIRE(found.size() == 1);
    CHECK(found[0].group == pid);
    CHECK(frsh::is_there(found[0]));
    CHECK(frsh::send_signal(found[0], SIGKILL) == frsh::Delivery::Sent);
    // Also before it has been waited for.
    CHECK(wait_until([&] { return !frsh::is_there(found[0]); }));
    frsh::wait_for(pid);
    CHECK(frsh::arguments_of(pid).empty());
    CHECK_FALSE(frsh::ignores_signal(pid, SIGINT));
}

TEST_CASE("process table: a reaped pid's session counts by start time") {
    auto result = frsh::spawn(shell("sleep 70 & echo; wait"));
    const pid_t pid = std::get<Spawned>(result).pid;
    REQUIRE(wait_until([&] { return frsh::started_by({pid, {}}).processes.size() == 2; }));
    const std::uint64_t start = frsh::started_by({pid, {}}).processes[0].start;
    CHECK(frsh::now_in_ticks() >= start);
    CHECK(frsh::now_in_ticks() < start + 100 * 600);
    // The process that has the pid now is newer: these belong to it.
    CHECK(frsh::started_by({pid, {}, start}).processes.empty());
    // The program itself has gone, and what it left is still there.
    REQUIRE(::kill(pid, SIGKILL) == 0);
    frsh::wait_for(pid);
    const auto left = frsh::started_by({pid, {}, start + 100 * 600}).processes;
    REQUIRE(left.size() == 1);
    // It may only now become the program that it is for.
    CHECK(wait_until([&] {
        return frsh::started_by({pid, {}, start + 100 * 600}).processes[0].name == "sleep";
    }));
    CHECK(frsh::send_signal(left[0], SIGKILL) == frsh::Delivery::Sent);
}

TEST_CASE("process table: a name with blanks and parentheses is whole") {
    SpawnRequest request =
        shell("printf ') R 1 (' > /proc/self/comm; cat /proc/self/stat > /dev/null; read x");
    frsh::Pipe in = frsh::make_pipe();
    request.stdio[0] = in.read_end.get();
    auto result = frsh::spawn(request);
    const pid_t pid = std::get<Spawned>(result).pid;
    CHECK(wait_until([&] {
        const auto all = frsh::list_processes();
        return std::any_of(all.begin(), all.end(), [&](const auto& process) {
            return process.pid == pid && process.parent == ::getpid();
        });
    }));
    in.write_end.close();
    in.read_end.close();
    frsh::wait_for(pid);
}

TEST_CASE("signals: a name and its number convert both ways") {
    CHECK(frsh::signal_name(SIGINT) == "INT");
    CHECK(frsh::signal_name(40) == "40");
    CHECK(frsh::signal_number("INT") == SIGINT);
    CHECK(frsh::signal_number("sigterm") == SIGTERM);
    CHECK(frsh::signal_number("9") == SIGKILL);
    for (const char* const bad :
         {"", "SIG", "0", "-1", "65", "99999999999", "NOTHING", "INT ", "9x"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::signal_number(bad));
    }
}

namespace {

// Refuses close_range(2) for this process, as an old kernel or a container's profile does.
void refuse_close_range() {
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, filter};
    REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

}  // namespace

TEST_CASE("process: no descriptor is inherited where close_range(2) is refused") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        refuse_close_range();
        const int low = ::open("/dev/null", O_RDONLY);
        const int high = ::fcntl(low, F_DUPFD, 900);
        const std::string command = "for fd in " + std::to_string(low) + " " +
                                    std::to_string(high) +
                                    "; do [ -e /proc/self/fd/$fd ] && exit 9; done; exit 4";
        const ExitStatus status = run(shell(command));
        const bool is_open = ::fcntl(low, F_GETFD) >= 0;
        frsh::close_all_but({high});
        const bool is_closed = ::fcntl(low, F_GETFD) == -1 && ::fcntl(high, F_GETFD) >= 0;
        ::_exit(status.code == 4 && is_open && is_closed ? 0 : status.code + 1);
    }
    const ExitStatus status = frsh::wait_for(child);
    CHECK_FALSE(status.signaled);
    CHECK(status.code == 0);
}

TEST_CASE("process table: marks are found at the start of a large environment only") {
    SpawnRequest request = shell("sleep 60 & echo; wait");
    request.env = {"PATH=/usr/bin:/bin"};
    for (int i = 0; i < 20; ++i)
        request.env.push_back("X" + std::to_string(i) + "=" + std::string(100'000, 'x'));
    request.env.insert(request.env.begin(), "FRSH_TEST_MARK=first");
    auto result = frsh::spawn(request);
    REQUIRE(std::holds_alternative<Spawned>(result));
    const pid_t pid = std::get<Spawned>(result).pid;
    const frsh::ProcessOrigin by_mark{0, {"FRSH_TEST_MARK=first"}};
    frsh::Started started;
    do {  // In the middle of execve(2) a process has no environment.
        started = frsh::started_by(by_mark);
    } while (!started.is_sure);
    CHECK_FALSE(started.processes.empty());
    for (const auto& process : frsh::started_by({pid, {"NONE=1"}}).processes)
        CHECK(frsh::send_signal(process, SIGKILL) != frsh::Delivery::Refused);
    CHECK(frsh::wait_for(pid).signaled);
}
