#include "common/sys/process.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxExtra = 8;

// All that the child needs. It is prepared before vfork(2), because the child must not allocate.
struct Plan {
    std::vector<const char*> programs;
    std::vector<char*> argv;
    std::vector<char*> env;
    const char* cwd;
    const char* notice;
    std::size_t notice_size;
    std::array<int, 3> stdio;
    const std::vector<std::pair<int, int>>* extra;
    int controlling_terminal;
    bool new_session;
    bool ignore_interrupts;
    // The child writes these and the parent reads them: with vfork(2) both share their memory.
    volatile SpawnFailure::Stage failed_stage;
    volatile int failed_error;
};

[[noreturn]] void fail(Plan& plan, SpawnFailure::Stage stage) {
    plan.failed_error = errno;
    plan.failed_stage = stage;
    ::_exit(127);
}

// Reports a failed F_DUPFD. fcntl(2) fails with EINVAL if the number is not below the limit of
// descriptors; for the user this is EMFILE.
[[noreturn]] void fail_to_lift(Plan& plan) {
    if (errno == EINVAL) errno = EMFILE;
    fail(plan, SpawnFailure::Stage::Fork);
}

// Ignored signals stay ignored across execve(2), and the command must not inherit those that this
// process ignores.
void reset_signals(const Plan& plan) {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number)
        ::sigaction(number, &standard, nullptr);
    if (!plan.ignore_interrupts) return;
    standard.sa_handler = SIG_IGN;
    ::sigaction(SIGINT, &standard, nullptr);
    ::sigaction(SIGQUIT, &standard, nullptr);
}

// Gives the child exactly the descriptors of the plan, under their numbers.
void arrange_descriptors(Plan& plan) {
    // First, lift everything above the numbers that are wanted: the parent may have lent one of
    // these.
    int above = 16;
    for (const auto& [ours, number] : *plan.extra) {
        if (number >= above) above = number + 1;
    }
    int lifted[3];
    for (std::size_t i = 0; i < 3; ++i) {
        lifted[i] = plan.stdio[i] >= 0 ? ::fcntl(plan.stdio[i], F_DUPFD_CLOEXEC, above)
                                       : ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (lifted[i] == -1) fail_to_lift(plan);
    }
    int lifted_extra[kMaxExtra];
    std::size_t count = 0;
    for (const auto& [ours, number] : *plan.extra) {
        lifted_extra[count] = ::fcntl(ours, F_DUPFD_CLOEXEC, above);
        if (lifted_extra[count++] == -1) fail_to_lift(plan);
    }
    // Descriptors of this process are close-on-exec from the start. This call covers those that
    // the parent of this process left open.
    act_on_range(3, ~0U, RangeAction::CloseOnExec);
    // dup2(2) clears close-on-exec on the copy, so exactly these survive the exec.
    for (int i = 0; i < 3; ++i) {
        if (::dup2(lifted[i], i) == -1) fail(plan, SpawnFailure::Stage::Fork);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (::dup2(lifted_extra[i], (*plan.extra)[i].second) == -1) {
            fail(plan, SpawnFailure::Stage::Fork);
        }
    }
}

// Works as execvp(3): goes on after a folder without such a file, remembers a file that may not be
// executed, and takes any other error as final.
[[noreturn]] void execute(Plan& plan) {
    int refused = ENOENT;
    for (const char* const program : plan.programs) {
        ::execve(program, plan.argv.data(), plan.env.data());
        if (errno == EACCES) {
            refused = EACCES;
        } else if (errno != ENOENT && errno != ENOTDIR) {
            refused = errno;
            break;
        }
    }
    errno = refused;
    fail(plan, SpawnFailure::Stage::Exec);
}

// Runs between vfork(2) and execve(2), where only async-signal-safe calls are allowed: no
// allocation, no logging, no exceptions, no destructors. The memory is the parent's own.
[[noreturn]] void become(Plan& plan) {
    using Stage = SpawnFailure::Stage;
    reset_signals(plan);
    if (plan.new_session && ::setsid() == -1) fail(plan, Stage::Fork);
    if (plan.controlling_terminal >= 0 && ::ioctl(plan.controlling_terminal, TIOCSCTTY, 0) == -1) {
        fail(plan, Stage::Fork);
    }
    arrange_descriptors(plan);
    if (plan.cwd != nullptr && ::chdir(plan.cwd) == -1) fail(plan, Stage::Cwd);
    // The program's stderr. It does not matter here if nothing reads it.
    if (plan.notice_size > 0) (void)!::write(STDERR_FILENO, plan.notice, plan.notice_size);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    execute(plan);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (const std::string& string : strings)
        result.push_back(const_cast<char*>(string.c_str()));
    result.push_back(nullptr);
    return result;
}

// Starts the child with vfork(2), which lends it this process's memory until execve(2). So the cost
// does not depend on the size of this process, and the child reports a failure in a variable. The
// call has a stack frame of its own: the parent uses it only after the child has left it.
[[gnu::noinline]] pid_t vfork_and_become(Plan& plan) {
    const pid_t pid = ::vfork();
    if (pid == 0) become(plan);
    return pid;
}

ExitStatus exit_status(pid_t pid, int status, const rusage& usage) {
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    ExitStatus result;
    result.pid = pid;
    result.signaled = WIFSIGNALED(status);
    if (result.signaled) {
        result.signal = WTERMSIG(status);
        result.core = WCOREDUMP(status);
    } else {
        result.code = WEXITSTATUS(status);
    }
    result.user_seconds = seconds(usage.ru_utime);
    result.system_seconds = seconds(usage.ru_stime);
    result.max_rss_kib = static_cast<std::uint64_t>(usage.ru_maxrss);
    return result;
}

}  // namespace

std::variant<Spawned, SpawnFailure> spawn(const SpawnRequest& request) {
    must(request.extra.size() <= kMaxExtra, "a program is lent at most eight extra descriptors");
    Plan plan{{},
              pointers(request.argv),
              pointers(request.env),
              request.cwd.empty() ? nullptr : request.cwd.c_str(),
              request.notice.data(),
              request.notice.size(),
              request.stdio,
              &request.extra,
              request.controlling_terminal,
              request.new_session,
              request.ignore_interrupts,
              SpawnFailure::Stage::Fork,
              0};
    for (const std::string& program : request.programs)
        plan.programs.push_back(program.c_str());

    // Block all signals: no handler may run in the child before the child has reset them all.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t pid = vfork_and_become(plan);
    const int fork_error = errno;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);

    if (pid == -1) return SpawnFailure{SpawnFailure::Stage::Fork, fork_error};
    if (plan.failed_error != 0) {
        wait_for(pid);
        return SpawnFailure{plan.failed_stage, plan.failed_error};
    }
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    return Spawned{pid, std::move(pidfd)};
}

std::vector<std::string> search_path(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) return {name};
    if (name.empty()) return {};
    std::vector<std::string> candidates;
    for (const std::string_view folder : split(path, ':')) {
        candidates.push_back((folder.empty() ? "." : std::string(folder)) + "/" + name);
    }
    return candidates;
}

std::optional<ExitStatus> reap(pid_t pid) {
    int status = 0;
    rusage usage{};
    const pid_t ended = ::wait4(pid, &status, WNOHANG, &usage);
    if (ended <= 0) return std::nullopt;  // Also ECHILD: there is no such child.
    return exit_status(ended, status, usage);
}

ExitStatus wait_for(pid_t pid) {
    int status = 0;
    rusage usage{};
    pid_t ended = 0;
    do {
        ended = ::wait4(pid, &status, 0, &usage);
    } while (ended == -1 && errno == EINTR);
    check(ended, "wait4");
    return exit_status(pid, status, usage);
}

}  // namespace frsh
