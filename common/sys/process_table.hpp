// Information about other processes from proc(5): which descend from a program, which have a mark
// in their environment, which hold a pipe open.
//
// The kernel may reuse a pid between a look and a kill(2). So signals are sent through a pidfd,
// after the start time was compared with the one of the look.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace frsh {

struct ProcessInfo {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    bool is_exiting = false;      // A signal has no more effect.
    bool is_kernels = false;      // A kernel thread: it has no program.
    std::uint64_t processor = 0;  // CPU time in clock ticks.
    std::uint64_t start = 0;  // Clock ticks since boot; with the pid it names one process for ever.
    // NotYet: the process is in the middle of execve(2). None: it has no mark, or may not be read.
    enum class Environment { None, Some, NotYet };
    Environment environment = Environment::None;
    char state = '?';  // 'Z' and 'X' are dead already.
    std::string name;
};

// Returns all processes, also zombies.
[[nodiscard]] std::vector<ProcessInfo> list_processes();

// Where to look for what a program started.
struct ProcessOrigin {
    pid_t program = 0;                         // The first process, with a session of its own.
    std::vector<std::string> marks;            // "NAME=VALUE"; in the environment of all of them.
    std::optional<std::uint64_t> reaped = {};  // When it was waited for; see now_in_ticks().
};
// Returns the current time in the unit of ProcessInfo::start.
[[nodiscard]] std::uint64_t now_in_ticks();

struct Started {
    std::vector<ProcessInfo> processes;
    // False: a process in the middle of execve(2) has no environment and may be one more.
    bool is_sure = true;
};

// Returns the processes that the program started: its descendants, the processes of its session
// (setsid(2)), and those with all marks in their environment. The marks find a daemon, too, which
// has left both the tree and the session. Zombies and this process are left out.
//
// After the program was reaped, its pid and its session number may belong to another program. If a
// process of the old session is still alive, they do not: the kernel does not reuse a number in
// use.
[[nodiscard]] Started started_by(const ProcessOrigin& origin);

// Returns the arguments, each ended by a NUL; empty if the process is gone or may not be inspected.
[[nodiscard]] std::string arguments_of(pid_t pid);
[[nodiscard]] bool ignores_signal(pid_t pid, int number);

// Returns the name that proc(5) gives an open descriptor: "pipe:[1234]", or a path.
[[nodiscard]] std::string descriptor_name(int fd);
// Returns the processes that have it open, except those that may not be inspected.
[[nodiscard]] std::vector<ProcessInfo> holders_of(const std::string& descriptor);

// Returns true if it is still the same process and not about to end.
[[nodiscard]] bool is_there(const ProcessInfo& process);

enum class Delivery { Sent, Gone, Refused };
Delivery send_signal(const ProcessInfo& process, int number);

}  // namespace frsh
