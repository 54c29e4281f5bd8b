#include "common/sys/fd.hpp"

#include "common/base/error.hpp"
#include "common/net/transport.hpp"
#include "common/sys/fd_passing.hpp"
#include "common/sys/pty.hpp"

#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using frsh::Fd;
using frsh::IoResult;

namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) != -1;
}

}  // namespace

TEST_CASE("fd: a descriptor is closed once, by its last owner") {
    int number = -1;
    {
        frsh::Pipe pipe = frsh::make_pipe();
        number = pipe.read_end.get();
        Fd moved = std::move(pipe.read_end);
        CHECK_FALSE(pipe.read_end.is_open());
        CHECK(moved.get() == number);
        Fd& same = moved;
        moved = std::move(same);
        CHECK(is_open(number));
        pipe.write_end = std::move(moved);
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
}

TEST_CASE("fd: every new descriptor is close-on-exec") {
    const frsh::Pipe pipe = frsh::make_pipe();
    const auto [one, two] = frsh::make_socketpair();
    for (const int fd : {pipe.read_end.get(), pipe.write_end.get(), one.get(), two.get()}) {
        CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
    }
    CHECK((::fcntl(pipe.read_end.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(one.get(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("fd: a closed peer is end-of-file, not an error") {
    frsh::Pipe pipe = frsh::make_pipe();
    pipe.write_end.close();
    char buffer[8];
    CHECK(frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer).status ==
          IoResult::Status::EndOfFile);
    frsh::Pipe other = frsh::make_pipe();
    other.read_end.close();
    CHECK(frsh::write_some(other.write_end.get(), "x").status == IoResult::Status::EndOfFile);
    auto [ours, theirs] = frsh::make_socketpair();
    // Closing with unread bytes resets the connection.
    frsh::write_all(ours.get(), "unread");
    theirs.close();
    CHECK(frsh::read_some(ours.get(), buffer, sizeof buffer).status == IoResult::Status::EndOfFile);
    CHECK(frsh::write_some(ours.get(), "x").status == IoResult::Status::EndOfFile);
}

TEST_CASE("fd: an empty or a full pipe gives WouldBlock") {
    frsh::Pipe pipe = frsh::make_pipe();
    frsh::set_nonblocking(pipe.read_end.get());
    frsh::set_nonblocking(pipe.write_end.get());
    char buffer[8];
    CHECK(frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer).status ==
          IoResult::Status::WouldBlock);
    const std::string much(1 << 20, 'x');
    CHECK(frsh::write_some(pipe.write_end.get(), much).status == IoResult::Status::Done);
    CHECK(frsh::write_some(pipe.write_end.get(), "x").status == IoResult::Status::WouldBlock);
}

TEST_CASE("fd: any other failure is an error with its reason") {
    char buffer[8];
    CHECK_THROWS_AS((void)frsh::read_some(-1, buffer, sizeof buffer), frsh::SysError);
    const Fd folder(::open("/", O_RDONLY | O_CLOEXEC));
    CHECK_THROWS_AS((void)frsh::read_some(folder.get(), buffer, sizeof buffer), frsh::SysError);
    const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    try {
        (void)frsh::write_some(full.get(), "x");
        FAIL("a full disk took a byte");
    } catch (const frsh::SysError& error) {
        CHECK(error.code().value() == ENOSPC);
    }
    CHECK_THROWS_AS(frsh::write_all(full.get(), "x"), frsh::SysError);
}

TEST_CASE("fd: a file is read whole or refused as too large") {
    char name[] = "/tmp/frsh-fd-test-XXXXXX";
    const Fd file(::mkostemp(name, O_CLOEXEC));
    const std::string content(50'000, 'x');
    frsh::write_all(file.get(), content);
    CHECK(frsh::read_file(name, 50'000) == content);
    CHECK_THROWS_AS((void)frsh::read_file(name, 49'999), frsh::SysError);
    ::unlink(name);
    CHECK_THROWS_AS((void)frsh::read_file(name, 1), frsh::SysError);
}

TEST_CASE("fd: only the terminal that is opened anew is non-blocking") {
    const frsh::Pty pty = frsh::open_pty();
    REQUIRE((::fcntl(pty.slave.get(), F_GETFL) & O_NONBLOCK) == 0);
    const Fd anew = frsh::open_anew(pty.slave.get(), O_RDONLY);
    REQUIRE(anew.is_open());
    char buffer[8];
    // As after Ctrl-C, which empties a terminal that poll(2) has called readable.
    CHECK(frsh::read_some(anew.get(), buffer, sizeof buffer).status ==
          IoResult::Status::WouldBlock);
    frsh::write_all(pty.master.get(), "a\n");
    CHECK(frsh::read_some(anew.get(), buffer, sizeof buffer).bytes == 2);
    CHECK((::fcntl(pty.slave.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK(::fcntl(anew.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("fd: a pipe opened anew is the same pipe, a socket fails") {
    const frsh::Pipe pipe = frsh::make_pipe();
    const Fd anew = frsh::open_anew(pipe.read_end.get(), O_RDONLY);
    char buffer[8];
    CHECK(frsh::read_some(anew.get(), buffer, sizeof buffer).status ==
          IoResult::Status::WouldBlock);
    frsh::write_all(pipe.write_end.get(), "x");
    CHECK(frsh::read_some(anew.get(), buffer, sizeof buffer).bytes == 1);
    CHECK((::fcntl(pipe.read_end.get(), F_GETFL) & O_NONBLOCK) == 0);
    const auto [one, two] = frsh::make_socketpair();
    CHECK_FALSE(frsh::open_anew(one.get(), O_RDONLY).is_open());
}

TEST_CASE("transport: reading continues after the end of writing") {
    auto [ours, theirs] = frsh::make_socketpair();
    frsh::FdTransport transport(std::move(ours));
    CHECK(transport.read_fd() == transport.write_fd());
    transport.finish_writing();
    char buffer[8];
    CHECK(frsh::read_some(theirs.get(), buffer, sizeof buffer).status ==
          IoResult::Status::EndOfFile);
    frsh::write_all(theirs.get(), "more");
    CHECK(transport.read(buffer, sizeof buffer).bytes == 4);
    CHECK(transport.write("x").status == IoResult::Status::EndOfFile);
}

TEST_CASE("transport: over two pipes, the end of writing closes one") {
    frsh::Pipe in = frsh::make_pipe();
    frsh::Pipe out = frsh::make_pipe();
    frsh::FdTransport transport(std::move(in.read_end), std::move(out.write_end));
    CHECK(transport.write("x").bytes == 1);
    transport.finish_writing();
    char buffer[8];
    CHECK(frsh::read_some(out.read_end.get(), buffer, sizeof buffer).bytes == 1);
    CHECK(frsh::read_some(out.read_end.get(), buffer, sizeof buffer).status ==
          IoResult::Status::EndOfFile);
    frsh::write_all(in.write_end.get(), "y");
    CHECK(transport.read(buffer, sizeof buffer).bytes == 1);
}

TEST_CASE("fd passing: the receiver gets the same open file") {
    const auto [near, far] = frsh::make_socketpair();
    const frsh::Pipe pipe = frsh::make_pipe();
    char buffer[8];
    CHECK(frsh::receive_descriptors(far.get(), buffer, sizeof buffer).result.status ==
          IoResult::Status::WouldBlock);
    REQUIRE(frsh::pass_descriptors(near.get(), "ab", {pipe.write_end.get()}));
    const frsh::Passed passed = frsh::receive_descriptors(far.get(), buffer, sizeof buffer);
    CHECK(passed.result.bytes == 2);
    REQUIRE(passed.descriptors[0].is_open());
    CHECK_FALSE(passed.descriptors[1].is_open());
    CHECK((::fcntl(passed.descriptors[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    frsh::write_all(passed.descriptors[0].get(), "x");
    CHECK(frsh::read_some(pipe.read_end.get(), buffer, sizeof buffer).bytes == 1);
}

TEST_CASE("fd passing: a closed peer is reported on both sides") {
    auto [near, far] = frsh::make_socketpair();
    far.close();
    CHECK_FALSE(frsh::pass_descriptors(near.get(), "a", {0}));
    char buffer[8];
    CHECK(frsh::receive_descriptors(near.get(), buffer, sizeof buffer).result.status ==
          IoResult::Status::EndOfFile);
}
