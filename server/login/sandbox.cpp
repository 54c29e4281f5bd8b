#include "server/login/sandbox.hpp"

#include "common/base/error.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <vector>

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

// --- landlock, which Debian 12's headers know only in part -----------------------------------

constexpr std::uint32_t kLandlockVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION

struct LandlockRuleset {
    std::uint64_t handled_access_fs = 0;
    std::uint64_t handled_access_net = 0;  // From version 4 on.
    std::uint64_t scoped = 0;              // From version 6 on.
};

// Takes away all rights to files: a ruleset that handles a right, and has no rule that grants it,
// forbids it (landlock(7)).
void forbid_files() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion);
    if (version == -1) return;  // See find_missing_wall().
    // The number of file rights in each version of landlock: 13 up to make_sym, then one more each
    // for refer, truncate and ioctl.
    const int rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
    LandlockRuleset ruleset{(1ULL << rights) - 1, 0, 0};
    std::size_t size = sizeof ruleset.handled_access_fs;
    if (version >= 4) {
        ruleset.handled_access_net = 3;  // bind, connect
        size = offsetof(LandlockRuleset, scoped);
    }
    if (version >= 6) {
        ruleset.scoped = 3;  // Abstract unix sockets, signals.
        size = sizeof ruleset;
    }
    const Fd fd(static_cast<int>(
        check(::syscall(SYS_landlock_create_ruleset, &ruleset, size, 0), "landlock")));
    check(::syscall(SYS_landlock_restrict_self, fd.get(), 0), "landlock");
}

// --- seccomp ----------------------------------------------------------------------------------

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the gate's list of system calls was never tried on this architecture: see sandbox.cpp"
#endif

// The calls that moving bytes through TLS needs, including those that the C library makes.
constexpr std::array kAllowed = {
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_ppoll,          SYS_read,          SYS_write,           SYS_writev,
    SYS_recvfrom,       SYS_shutdown,      SYS_close,           SYS_getsockopt,
    SYS_exit,           SYS_exit_group,    SYS_getrandom,       SYS_getpid,
    SYS_gettid,         SYS_clock_gettime, SYS_gettimeofday,    SYS_brk,
    SYS_munmap,         SYS_mremap,        SYS_madvise,         SYS_futex,
    SYS_rt_sigprocmask, SYS_rt_sigreturn,  SYS_restart_syscall,
};
// These calls may allocate memory, but no executable memory.
constexpr std::array kWithoutExec = {SYS_mmap, SYS_mprotect};
// These calls fail with an error and do not end the process: a library may try to open a file that
// it does not need.
constexpr std::array kRefused = {SYS_openat, SYS_newfstatat, SYS_readlinkat,
                                 SYS_ioctl,  SYS_fcntl,      SYS_sysinfo};

constexpr std::uint32_t at(std::size_t offset) {
    return static_cast<std::uint32_t>(offset);
}
// Returns the offset of an argument's low half. The high half is 4 bytes behind it, because all
// supported machines are little-endian.
constexpr std::uint32_t at_argument(std::size_t number) {
    return at(offsetof(seccomp_data, args) + number * sizeof(std::uint64_t));
}

// Returns the seccomp filter, a BPF program: it loads a word, compares it, and jumps over a return.
std::vector<sock_filter> make_filter() {
    std::vector<sock_filter> code;
    const auto load = [&](std::uint32_t offset) {
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
    };
    const auto answer = [&](std::uint32_t action) {
        code.push_back(BPF_STMT(BPF_RET | BPF_K, action));
    };
    const auto unless_equal_skip = [&](long value, std::uint8_t skipped) {
        code.push_back(
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(value), 0, skipped));
    };
    // Check the architecture first: on another one, the same number is another call.
    load(at(offsetof(seccomp_data, arch)));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    answer(SECCOMP_RET_KILL_PROCESS);
    // The numbers of x32 have a high bit set, so none of them equals a number below.
    load(at(offsetof(seccomp_data, nr)));
    for (const long number : kAllowed) {
        unless_equal_skip(number, 1);
        answer(SECCOMP_RET_ALLOW);
    }
    for (const long number : kRefused) {
        unless_equal_skip(number, 1);
        answer(SECCOMP_RET_ERRNO | EACCES);
    }
    for (const long number : kWithoutExec) {
        unless_equal_skip(number, 4);
        load(at_argument(2));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
        answer(SECCOMP_RET_ALLOW);
        answer(SECCOMP_RET_KILL_PROCESS);
    }
    // Allow sendto(2) without an address only: with one, MSG_FASTOPEN would connect.
    unless_equal_skip(SYS_sendto, 6);
    load(at_argument(4));
    unless_equal_skip(0, 3);
    load(at_argument(4) + 4);
    unless_equal_skip(0, 1);
    answer(SECCOMP_RET_ALLOW);
    answer(SECCOMP_RET_KILL_PROCESS);
    answer(SECCOMP_RET_KILL_PROCESS);
    return code;
}

// --- rights -----------------------------------------------------------------------------------

void limit(__rlimit_resource resource, rlim_t most, const char* attempt) {
    const rlimit both{most, most};
    check(::setrlimit(resource, &both), attempt);
}

void drop_rights(const SandboxSettings& settings) {
    if (::geteuid() != 0) return;
    check(::setgroups(0, nullptr), "setgroups");
    check(::setresgid(settings.gid, settings.gid, settings.gid), "setresgid");
    check(::setresuid(settings.uid, settings.uid, settings.uid), "setresuid");
    must(::getuid() == settings.uid && ::setuid(0) == -1, "a gate cannot become root again");
}

std::optional<std::string> find_missing_wall() {
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion) != -1) {
        return std::nullopt;
    }
    return "no landlock in this kernel (" + std::string(std::strerror(errno)) +
           "): the gate is held by seccomp and its missing rights alone";
}

}  // namespace

std::optional<std::string> try_sandbox() {
    Pipe report = make_pipe();
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        try {
            enter_sandbox({65534, 65534, report.write_end.get()});
            ::_exit(0);
        } catch (const std::exception& error) {
            [[maybe_unused]] const ssize_t written =
                ::write(report.write_end.get(), error.what(), std::strlen(error.what()));
        }
        ::_exit(1);
    }
    report.write_end.close();
    char why[256];
    const IoResult got = read_some(report.read_end.get(), why, sizeof why);
    const ExitStatus status = wait_for(pid);
    if (!status.signaled && status.code == 0) return find_missing_wall();
    throw UserError("the gate cannot be sandboxed here (" + std::string(why, got.bytes) +
                    "): --no-sandbox goes without");
}

void give_up_rights(const SandboxSettings& settings) {
    drop_rights(settings);
    // No process of the same uid may read this memory, and no core file may keep it.
    check(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl");
    limit(RLIMIT_CORE, 0, "setrlimit core");
    limit(RLIMIT_FSIZE, 0, "setrlimit fsize");
    limit(RLIMIT_NPROC, 0, "setrlimit nproc");
    limit(RLIMIT_MEMLOCK, 0, "setrlimit memlock");
    limit(RLIMIT_DATA, rlim_t{256} << 20, "setrlimit data");
    // This call must come first: without it, landlock and seccomp need a capability, which this
    // process has given up.
    check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
    forbid_files();
    // The limit cannot be 0: poll(2) refuses more entries than the limit.
    limit(RLIMIT_NOFILE, static_cast<rlim_t>(settings.highest_descriptor) + 1, "setrlimit nofile");
}

void filter_system_calls() {
    std::vector<sock_filter> code = make_filter();
    sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

void enter_sandbox(const SandboxSettings& settings) {
    give_up_rights(settings);
    filter_system_calls();
}

}  // namespace frsh
