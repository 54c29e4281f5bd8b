// Information about other processes from proc(5): which descend from a program, which have a mark
// in their environment, which hold a pipe open.
//
// The kernel may reuse a pid after it was read from proc(5) and before kill(2). So a signal is sent
// through a pidfd, after the process's start time was compared with the one read before.
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
    std::uint64_t start = 0;      // Clock ticks since boot. Pid and start together are unique.
    // NotYet: the process is in the middle of execve(2). None: the environment is empty, or this
    // process may not read it.
    enum class Environment { None, Some, NotYet };
    Environment environment = Environment::None;
    char state = '?';  // 'Z' and 'X': the process has already ended.
    std::string name;
};

// Returns all processes, also zombies.
[[nodiscard]] std::vector<ProcessInfo> list_processes();

// How much of the process table this process can see.
//
//     All   every process
//     Own   not every process: /proc is mounted with hidepid (proc(5))
//     None  there is no /proc
enum class Sight { All, Own, None };
[[nodiscard]] Sight process_sight();

// The properties by which the processes that a program started are found.
struct ProcessOrigin {
    pid_t program = 0;                         // The first process, with a session of its own.
    std::vector<std::string> marks;            // "NAME=VALUE"; in the environment of all of them.
    std::optional<std::uint64_t> reaped = {};  // When `program` was reaped; see now_in_ticks().
};
// Returns the current time in the unit of ProcessInfo::start.
[[nodiscard]] std::uint64_t now_in_ticks();

struct Started {
    std::vector<ProcessInfo> processes;
    // False if a process was in the middle of execve(2). It has no environment then, so it is not
    // in `processes`, although the program may have started it.
    bool is_sure = true;
};

// Returns the processes that the program started: its descendants, the processes of its session
// (setsid(2)), and those with all marks in their environment. The marks also find a daemon, which
// has left both the tree and the session. Zombies and this process are left out.
//
// After the program was reaped, its pid and its session number may belong to another program. They
// still belong to this one while a process of its session is alive: the kernel reuses no number
// that is in use.
[[nodiscard]] Started started_by(const ProcessOrigin& origin);

// Returns the arguments, each ended by a NUL; empty if the process is gone or may not be inspected.
[[nodiscard]] std::string arguments_of(pid_t pid);
[[nodiscard]] bool ignores_signal(pid_t pid, int number);

// Returns the name that proc(5) gives an open descriptor: "pipe:[1234]", or a path.
[[nodiscard]] std::string descriptor_name(int fd);
// Returns the processes that have this file open, except those that may not be inspected.
[[nodiscard]] std::vector<ProcessInfo> holders_of(const std::string& descriptor);

// Returns true if the process still exists and is not about to end.
[[nodiscard]] bool is_there(const ProcessInfo& process);

enum class Delivery { Sent, Gone, Refused };
Delivery send_signal(const ProcessInfo& process, int number);

}  // namespace frsh
