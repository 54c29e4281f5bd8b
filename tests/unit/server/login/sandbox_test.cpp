// What a gate can still do: each try runs in a child of its own that has entered the sandbox.
#include "server/login/sandbox.hpp"

#include "common/sys/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace frsh;

namespace {

#ifdef FRSH_SANITIZE
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

enum class As { Root, User };
enum class Result { Done, Denied, Killed, Other };

// `attempt` returns what the system call did: -1 is a refusal.
Result try_inside(As as, const std::function<long()>& attempt) {
    const pid_t pid = ::fork();
    REQUIRE(pid != -1);
    if (pid == 0) {
        if (as == As::User && ::geteuid() == 0 && ::setresuid(54321, 54321, 54321) != 0) {
            ::_exit(3);
        }
        try {
            enter_sandbox({65534, 65534, 2});
        } catch (const std::exception&) {
            ::_exit(3);
        }
        if (attempt() != -1) ::_exit(0);
        // Any other failure would say nothing about the sandbox.
        ::_exit(errno == EACCES || errno == EPERM ? 1 : 4);
    }
    const ExitStatus status = wait_for(pid);
    if (status.signaled) return status.signal == SIGSYS ? Result::Killed : Result::Other;
    return status.code == 0 ? Result::Done : status.code == 1 ? Result::Denied : Result::Other;
}

struct Attempt {
    const char* name;
    std::function<long()> call;
};

const std::vector<Attempt>& attempts() {
    static const std::vector<Attempt> all = {
        {"open", [] { return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
        {"open to write",
         [] { return ::syscall(SYS_openat, AT_FDCWD, "/tmp/x", O_WRONLY | O_CREAT, 0600); }},
        {"openat2",
         [] {
             std::uint64_t how[3] = {O_RDONLY, 0, 0};
             return ::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how);
         }},
        {"execve",
         [] {
             char* const argv[] = {const_cast<char*>("true"), nullptr};
             return static_cast<long>(::execve("/bin/true", argv, nullptr));
         }},
        {"execveat",
         [] {
             char* const argv[] = {const_cast<char*>("true"), nullptr};
             return ::syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, nullptr, 0);
         }},
        {"socket", [] { return static_cast<long>(::socket(AF_INET, SOCK_STREAM, 0)); }},
        {"connect",
         [] {
             sockaddr_in address{};
             address.sin_family = AF_INET;
             return static_cast<long>(
                 ::connect(0, reinterpret_cast<sockaddr*>(&address), sizeof address));
         }},
        // With MSG_FASTOPEN that would be a connect(2) by another name.
        {"send to an address",
         [] {
             sockaddr_in address{};
             address.sin_family = AF_INET;
             return static_cast<long>(::sendto(
                 0, "", 0, MSG_FASTOPEN, reinterpret_cast<sockaddr*>(&address), sizeof address));
         }},
        // Descriptors could travel with these.
        {"sendmsg", [] { return ::syscall(SYS_sendmsg, 0, nullptr, 0); }},
        {"recvmsg", [] { return ::syscall(SYS_recvmsg, 0, nullptr, 0); }},
        {"bind", [] { return ::syscall(SYS_bind, 0, nullptr, 0); }},
        {"fork", [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
        {"clone3", [] { return ::syscall(SYS_clone3, nullptr, 0); }},
        {"unshare", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }},
        {"kill", [] { return static_cast<long>(::kill(::getppid(), 0)); }},
        {"kill itself", [] { return ::syscall(SYS_kill, ::getpid(), 0); }},
        {"tgkill", [] { return ::syscall(SYS_tgkill, 1, 1, 0); }},
        {"pidfd_open", [] { return ::syscall(SYS_pidfd_open, 1, 0); }},
        {"ptrace", [] { return ::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }},
        {"process_vm_readv", [] { return ::syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0); }},
        {"mmap to execute",
         [] {
             return reinterpret_cast<long>(
                 ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
         }},
        {"mmap to write and execute",
         [] {
             return reinterpret_cast<long>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
         }},
        {"mprotect to execute",
         [] {
             void* const page =
                 ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
             return static_cast<long>(::mprotect(page, 4096, PROT_READ | PROT_EXEC));
         }},
        {"pkey_mprotect to execute",
         [] { return ::syscall(SYS_pkey_mprotect, 0, 4096, PROT_EXEC, -1); }},
        {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }},
        {"setuid", [] { return ::syscall(SYS_setuid, 0); }},
        {"prctl", [] { return ::syscall(SYS_prctl, 4, 1, 0, 0, 0); }},
        {"memfd_create", [] { return ::syscall(SYS_memfd_create, "x", 0); }},
        {"dup", [] { return ::syscall(SYS_dup, 0); }},
        {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
        {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
        {"keyctl", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
#ifdef SYS_open
        {"the old open", [] { return ::syscall(SYS_open, "/etc/passwd", O_RDONLY); }},
        {"x32", [] { return ::syscall(0x40000000 | SYS_getpid); }},
#endif
    };
    return all;
}

void check_all(As as) {
    for (const Attempt& attempt : attempts()) {
        const Result result = try_inside(as, attempt.call);
        INFO(attempt.name);
        CHECK((result == Result::Denied || result == Result::Killed));
    }
}

}  // namespace

TEST_CASE("sandbox: this machine can build all its walls" * doctest::skip(kIsSanitized)) {
    CHECK_NOTHROW(static_cast<void>(try_sandbox()));
}

TEST_CASE("sandbox: a user's gate can only move bytes" * doctest::skip(kIsSanitized)) {
    check_all(As::User);
}

TEST_CASE("sandbox: a gate started as root is denied all that is not moving bytes" *
          doctest::skip(kIsSanitized)) {
    if (::geteuid() != 0) {
        MESSAGE("skipped: not root");
        return;
    }
    check_all(As::Root);
}

TEST_CASE("sandbox: a gate may do what it needs, as root too" * doctest::skip(kIsSanitized)) {
    const std::vector<Attempt> needed = {
        {"write", [] { return static_cast<long>(::write(1, "", 0)); }},
        // The kernel answers ENOTSOCK, so the sandbox let the call pass.
        {"send", [] { return ::send(1, "", 0, 0) == -1 && errno == ENOTSOCK ? 0L : -1L; }},
        {"memory",
         [] {
             const std::string much(std::size_t{4} << 20, 'x');
             return static_cast<long>(much.size());
         }},
        {"time",
         [] {
             timespec now{};
             return ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
         }},
        {"randomness",
         [] {
             char bytes[16];
             return ::syscall(SYS_getrandom, bytes, sizeof bytes, 0);
         }},
    };
    for (const Attempt& attempt : needed) {
        INFO(attempt.name);
        CHECK(try_inside(As::User, attempt.call) == Result::Done);
        if (::geteuid() == 0) CHECK(try_inside(As::Root, attempt.call) == Result::Done);
    }
}
