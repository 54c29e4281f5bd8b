#include "server/listener/fork_server.hpp"

#include "common/base/error.hpp"
#include "common/sys/fd_passing.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

// Forks like fork(2), but the child's parent is our parent. Safe without libc's fork handlers: the
// process has one thread, which holds no lock.
pid_t fork_sibling() {
    constexpr unsigned long kFlags = CLONE_PARENT | SIGCHLD;
#if defined(__s390__)
    return static_cast<pid_t>(::syscall(SYS_clone, nullptr, kFlags, nullptr, nullptr, nullptr));
#else
    return static_cast<pid_t>(::syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, nullptr));
#endif
}

bool answer(int report, pid_t pid_or_error) {
    return ::send(report, &pid_or_error, sizeof pid_or_error, MSG_NOSIGNAL) ==
           ssize_t{sizeof pid_or_error};
}

std::pair<Fd, Fd> make_pair() {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    return {Fd(ends[0]), Fd(ends[1])};
}

// Runs the fork server. Returns only in each process that it forks. Allocates no memory, so that
// each process begins with the same heap.
ForkServer::ForkedProcess fork_until_stopped(int way) {
    for (;;) {
        char note[ForkServer::kMaxNote];
        Passed passed;
        try {
            passed = receive_descriptors(way, note, sizeof note);
        } catch (const SysError&) {
            ::_exit(1);
        }
        if (passed.result.status == IoResult::Status::EndOfFile) ::_exit(0);
        const pid_t pid = fork_sibling();
        const int report = passed.descriptors[2].get();
        if (pid == -1) (void)answer(report, -errno);
        if (pid != 0) continue;
        // The new process reports its pid itself. If the fork server dies meanwhile, the listener
        // still learns of the process, or the process does not begin.
        if (!answer(report, ::getpid())) ::_exit(0);
        return {std::string(note, passed.result.bytes), std::move(passed.descriptors[0]),
                std::move(passed.descriptors[1])};
    }
}

}  // namespace

std::optional<ForkServer::ForkedProcess> ForkServer::start(std::vector<int> kept) {
    must(is_gone(), "one fork server at a time");
    auto [ours, its] = make_pair();
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) {
        ours.close();  // Its number may be reused before this scope ends.
        kept.push_back(its.get());
        close_all_but(std::move(kept));
        ::prctl(PR_SET_NAME, "frshd-forker");
        ForkedProcess forked = fork_until_stopped(its.get());
        its.close();
        return forked;
    }
    way_ = std::move(ours);
    return std::nullopt;
}

pid_t ForkServer::fork(std::string_view note, int first, int second) {
    must(note.size() <= kMaxNote, "a note fits into one packet");
    // Each request has a socket for its answer. Only the fork server and the new process hold the
    // other end, so it ends also if either is killed before it answers.
    auto [ours, its] = make_pair();
    pid_t answer = 0;
    ssize_t got = -1;
    const bool is_sent = pass_descriptors(way_.get(), note, {first, second, its.get()});
    its.close();
    if (is_sent) {
        do {
            got = ::recv(ours.get(), &answer, sizeof answer, 0);
        } while (got == -1 && errno == EINTR);
    }
    if (got != ssize_t{sizeof answer}) {
        stop();
        throw SysError("fork: the fork server or the new process has died", ECHILD);
    }
    if (answer < 0) throw SysError("fork", -answer);
    return answer;
}

bool ForkServer::reaped(pid_t pid) {
    if (pid != pid_) return false;
    pid_ = 0;
    way_.close();
    return true;
}

void ForkServer::stop() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);  // Not reaped yet, so the pid is still its own.
    way_.close();
}

}  // namespace frsh
