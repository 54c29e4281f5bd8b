#include "server/zygote.hpp"

#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <csignal>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using frsh::Zygote;

namespace {

int value = 1;

// What each of its processes does; comes back in this one only.
void start(Zygote& zygote) {
    if (const auto offspring = zygote.start({})) {
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

}  // namespace

TEST_CASE("zygote: each of its processes is our child, as all was when it was started") {
    Zygote zygote;
    CHECK_FALSE(zygote.is_running());
    value = 1;
    start(zygote);
    REQUIRE(zygote.is_running());
    value = 2;
    frsh::Pipe out = frsh::make_pipe();
    frsh::Pipe in = frsh::make_pipe();
    const pid_t first = zygote.fork("one", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "one 1\n");
    const pid_t second = zygote.fork("two", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "two 1\n");
    CHECK(first != second);
    frsh::write_all(in.write_end.get(), "\5");
    frsh::write_all(in.write_end.get(), "\5");
    CHECK(frsh::wait_for(first).code == 5);
    CHECK(frsh::wait_for(second).code == 5);
    // They hold nothing of each other's.
    out.write_end.close();
    CHECK(line_from(out.read_end.get()).empty());
    zygote.stop();
    CHECK_FALSE(zygote.is_running());
    const pid_t own = ::waitpid(-1, nullptr, 0);
    CHECK_FALSE(zygote.reaped(own + 1));
    CHECK(zygote.reaped(own));
    CHECK(zygote.is_gone());
}

TEST_CASE("zygote: one that has gone is noticed, its processes live on, and there may be another") {
    Zygote zygote;
    value = 1;
    start(zygote);
    frsh::Pipe out = frsh::make_pipe();
    frsh::Pipe in = frsh::make_pipe();
    const pid_t child = zygote.fork("before", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "before 1\n");
    zygote.stop();
    const pid_t dead = ::waitpid(-1, nullptr, 0);
    CHECK(dead != child);
    REQUIRE(zygote.reaped(dead));
    CHECK_THROWS_AS((void)zygote.fork("after", out.write_end.get(), in.read_end.get()),
                    frsh::SysError);
    start(zygote);
    const pid_t next = zygote.fork("again", out.write_end.get(), in.read_end.get());
    CHECK(line_from(out.read_end.get()) == "again 1\n");
    in.write_end.close();  // Nothing to read: 0.
    CHECK(frsh::wait_for(child).code == 0);
    CHECK(frsh::wait_for(next).code == 0);
    zygote.stop();
    CHECK(zygote.reaped(::waitpid(-1, nullptr, 0)));
}

TEST_CASE("zygote: it ends with who started it, and asked in vain it is not running any more") {
    frsh::Pipe watched = frsh::make_pipe();
    const pid_t starter = ::fork();
    if (starter == 0) {
        watched.read_end.close();
        Zygote zygote;
        if (zygote.start({watched.write_end.get()})) ::_exit(1);
        ::_exit(0);
    }
    watched.write_end.close();
    CHECK(frsh::wait_for(starter).code == 0);
    CHECK(line_from(watched.read_end.get()).empty());  // Nobody holds it open.

    Zygote zygote;
    frsh::Pipe pid_of = frsh::make_pipe();
    start(zygote);
    const pid_t child = zygote.fork("x", pid_of.write_end.get(), pid_of.read_end.get());
    zygote.stop();
    CHECK_THROWS_AS((void)zygote.fork("y", pid_of.write_end.get(), pid_of.read_end.get()),
                    frsh::SysError);
    CHECK_FALSE(zygote.is_running());
    CHECK_FALSE(zygote.is_gone());  // Not waited for.
    (void)::kill(child, SIGKILL);
    for (int left = 2; left > 0; --left)
        (void)zygote.reaped(::waitpid(-1, nullptr, 0));
    CHECK(zygote.is_gone());
}
