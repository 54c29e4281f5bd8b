// Questions about other processes, answered by proc(5): who descends from whom, who carries a mark
// in its environment, who still holds a pipe open.
//
// A pid may be given to somebody else between a look and a kill, so signals go through a pidfd that
// is checked against the start time seen in the look.
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
    bool is_exiting = false;      // Past everything a signal could do to it.
    bool is_kernels = false;      // A thread of the kernel's: it has no program.
    std::uint64_t processor = 0;  // Clock ticks that it had of one.
    std::uint64_t start = 0;  // Clock ticks since boot; with the pid it names one process for ever.
    // As far as we may look into it. Not yet: it is in the middle of execve(2).
    enum class Environment { None, Some, NotYet };
    Environment environment = Environment::None;
    char state = '?';  // 'Z' and 'X' are dead already.
    std::string name;
};

// All processes there are, zombies included.
[[nodiscard]] std::vector<ProcessInfo> list_processes();

// Where to look for what a program started.
struct ProcessOrigin {
    pid_t program = 0;                         // The first process, with a session of its own.
    std::vector<std::string> marks;            // "NAME=VALUE"; in the environment of all of them.
    std::optional<std::uint64_t> reaped = {};  // When it was waited for; see now_in_ticks().
};
// As ProcessInfo::start.
[[nodiscard]] std::uint64_t now_in_ticks();

struct Started {
    std::vector<ProcessInfo> processes;
    // Somebody is in the middle of execve(2), where nobody has an environment: he may be one more.
    bool is_sure = true;
};

// Everything from there: its descendants, whoever is in its session (setsid(2)), and whoever
// carries all marks in the environment it was started with. Marks survive what the others do not: a
// daemon has left both the tree and the session. Zombies and this process itself are left out.
//
// A pid that has been waited for may be a stranger's, and so may a session of that number. Not
// while somebody is in it who was there before: the kernel gives no number away that is in use.
[[nodiscard]] Started started_by(const ProcessOrigin& origin);

// Its arguments, each ended by a NUL; empty where it is gone or not ours to look at.
[[nodiscard]] std::string arguments_of(pid_t pid);
[[nodiscard]] bool ignores_signal(pid_t pid, int number);

// What proc(5) calls an open descriptor of ours: "pipe:[1234]", or the path of a named one.
[[nodiscard]] std::string descriptor_name(int fd);
// Who has that open. Processes that may not be looked into are passed over.
[[nodiscard]] std::vector<ProcessInfo> holders_of(const std::string& descriptor);

// Still that process, and not about to end.
[[nodiscard]] bool is_there(const ProcessInfo& process);

enum class Delivery { Sent, Gone, Refused };
Delivery send_signal(const ProcessInfo& process, int number);

}  // namespace frsh
