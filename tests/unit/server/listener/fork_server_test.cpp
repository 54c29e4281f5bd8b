#include "server/listener/fork_server.hpp"

#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <csignal>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

using frsh::ForkServer;

namespace {

int value = 1;

// Runs in each process that the fork server forks. Returns in this process only.
void start(ForkServer& fork_server) {
    if (const auto offspring = fork_server.start({})) {
        const std::string words = offspring->note + " " + std::to_string(value) + "\n";
        (void)frsh::write_some(offspring->first.get(), words);
        char byte = 0;
        (void)frsh::read_some(offspring->second.get(), &byte, 1);
        ::_exit(byte);
    }
}

std::string line_from(int fd) {
    std::string line;
    for (char byte = 0; byte != '\n'; line += byte) {
        if (frsh::read_some(fd, &byte, 1).status != frsh::IoResult::Status::Done) break;
    }
    return line;
}

// Kills the next process that the traced process forks, before its first instruction.
class KilledAtBirth {
  public:
    explicit KilledAtBirth(pid_t parent) : parent_(parent), thread_([this] { run(); }) {
        char byte = 0;
        (void)frsh::read_some(ready_.read_end.get(), &byte, 1);
        is_tracing_ = byte == '+';
    }
    ~KilledAtBirth() { thread_.join(); }
    KilledAtBirth(const KilledAtBirth&) = delete;
    KilledAtBirth& operator=(const KilledAtBirth&) = delete;
    [[nodiscard]] bool is_tracing() const { return is_tracing_; }

  private:
    void run() const {
        const bool is_ok = ::ptrace(PTRACE_SEIZE, parent_, nullptr, PTRACE_O_TRACEFORK) == 0;
        (void)frsh::write_some(ready_.write_end.get(), is_ok ? "+" : "-");
        if (!is_ok || ::waitpid(parent_, nullptr, __WALL) != parent_) return;
        unsigned long born = 0;
        ::ptrace(PTRACE_GETEVENTMSG, parent_, nullptr, &born);
        ::kill(static_cast<pid_t>(born), SIGKILL);
        ::ptrace(PTRACE_DETACH, parent_, nullptr, nullptr);
    }

    pid_t parent_;
    frsh::Pipe ready_ = frsh::make_pipe();
    bool is_tracing_ = false;
    std::thread thread_;  // The last member: it uses the others.
};

}  // namespace

TEST_CASE("fork server: a forked process is a child of the process that started it") {
    ForkServer fork_server;
    CHECK_FALSE(fork_server.is_running());
    value = 1;
    start(fork_server);
    REQUIRE(fork_server.is_running());
    value = 2;
    frsh::Pipe out = frsh::make_pipe();
    frsh::Pipe in = frsh::make_pipe();
    const pid_t first = fork_server.fork("one", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "one 1\n");
    const pid_t second = fork_server.fork("two", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "two 1\n");
    CHECK(first != second);
    frsh::write_all(in.write_end.get(), "\5");
    frsh::write_all(in.write_end.get(), "\5");
    CHECK(frsh::wait_for(first).code == 5);
    CHECK(frsh::wait_for(second).code == 5);
    // Neither process has a descriptor of the other.
    out.write_end.close();
    CHECK(line_from(out.read_end.get()).empty());
    fork_server.stop();
    CHECK_FALSE(fork_server.is_running());
    const pid_t own = ::waitpid(-1, nullptr, 0);
    CHECK_FALSE(fork_server.reaped(own + 1));
    CHECK(fork_server.reaped(own));
    CHECK(fork_server.is_gone());
}

TEST_CASE("fork server: if it dies, its processes live on and another can start") {
    ForkServer fork_server;
    value = 1;
    start(fork_server);
    frsh::Pipe out = frsh::make_pipe();
    frsh::Pipe in = frsh::make_pipe();
    const pid_t child = fork_server.fork("before", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "before 1\n");
    fork_server.stop();
    const pid_t dead = ::waitpid(-1, nullptr, 0);
    CHECK(dead != child);
    REQUIRE(fork_server.reaped(dead));
    CHECK_THROWS_AS((void)fork_server.fork("after", out.write_end.get(), in.read_end.get()),
                    frsh::SysError);
    start(fork_server);
    const pid_t next = fork_server.fork("again", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "again 1\n");
    in.write_end.close();  // Nothing to read: 0.
    CHECK(frsh::wait_for(child).code == 0);
    CHECK(frsh::wait_for(next).code == 0);
    fork_server.stop();
    CHECK(fork_server.reaped(::waitpid(-1, nullptr, 0)));
}

TEST_CASE("fork server: it ends with its starter, and a failed request shows its end") {
    frsh::Pipe watched = frsh::make_pipe();
    const pid_t starter = ::fork();
    if (starter == 0) {
        watched.read_end.close();
        ForkServer fork_server;
        if (fork_server.start({watched.write_end.get()})) ::_exit(1);
        ::_exit(0);
    }
    watched.write_end.close();
    CHECK(frsh::wait_for(starter).code == 0);
    CHECK(line_from(watched.read_end.get()).empty());  // No process holds it open.

    ForkServer fork_server;
    frsh::Pipe pid_of = frsh::make_pipe();
    start(fork_server);
    const pid_t child = fork_server.fork("x", pid_of.write_end.get(), pid_of.read_end.get());
    fork_server.stop();
    CHECK_THROWS_AS((void)fork_server.fork("y", pid_of.write_end.get(), pid_of.read_end.get()),
                    frsh::SysError);
    CHECK_FALSE(fork_server.is_running());
    CHECK_FALSE(fork_server.is_gone());  // Not waited for.
    (void)::kill(child, SIGKILL);
    for (int left = 2; left > 0; --left)
        (void)fork_server.reaped(::waitpid(-1, nullptr, 0));
    CHECK(fork_server.is_gone());
}

TEST_CASE("fork server: a new process that is killed before it reports fails its request") {
    ForkServer fork_server;
    value = 1;
    start(fork_server);
    frsh::Pipe out = frsh::make_pipe();
    frsh::Pipe in = frsh::make_pipe();
    const pid_t first = fork_server.fork("one", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "one 1\n");
    {
        const KilledAtBirth killer(fork_server.pid());
        if (!killer.is_tracing()) {
            MESSAGE("skipped: ptrace(2) is not permitted here");
            fork_server.stop();
        }
        CHECK_THROWS_AS((void)fork_server.fork("two", out.write_end.get(), in.read_end.get()),
                        frsh::SysError);
    }
    CHECK_FALSE(fork_server.is_running());
    (void)::kill(first, SIGKILL);
    while (!fork_server.is_gone())
        (void)fork_server.reaped(::waitpid(-1, nullptr, __WALL));
    while (::waitpid(-1, nullptr, __WALL) > 0) {
    }
    start(fork_server);
    const pid_t next = fork_server.fork("again", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "again 1\n");
    in.write_end.close();
    CHECK(frsh::wait_for(next).code == 0);
    fork_server.stop();
    CHECK(fork_server.reaped(::waitpid(-1, nullptr, 0)));
}
