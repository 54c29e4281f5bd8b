// Starts other programs and collects how they ended.
//
// fork(2) makes a copy of this process; execve(2) replaces the copy by a program. Between the two
// only async-signal-safe calls are allowed, so that code is one function in process.cpp. A child
// that has ended stays as a zombie: an entry in the process table that holds its status, until its
// parent waits for it. reap() is that wait.
#pragma once

#include "common/sys/fd.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace frsh {

struct SpawnRequest {
    // Tried in order until one can be executed, as execvp(3) does with PATH.
    std::vector<std::string> programs;
    std::vector<std::string> argv;
    std::vector<std::string> env;
    std::string cwd;                       // Empty: the current folder.
    std::string notice;                    // Written to the program's stderr before it starts.
    std::array<int, 3> stdio{-1, -1, -1};  // Lent; -1 is /dev/null.
    // Lent descriptors that the program inherits, under numbers from 3 upwards.
    std::vector<std::pair<int, int>> extra;  // {ours, the child's number}
    int controlling_terminal = -1;           // Lent; the slave side of a pty.
    bool new_session = true;                 // setsid(2): a group, and a session, of its own.
    bool ignore_interrupts = false;          // Ignore SIGINT and SIGQUIT of a shared terminal.
};

// The step that failed, and its errno. No program ran.
struct SpawnFailure {
    enum class Stage { Fork, Cwd, Exec };
    Stage stage;
    int error;
};

struct Spawned {
    pid_t pid;
    Fd pidfd;  // Readable once the process has ended; never names another process.
};

// Starts a program with default signal actions, an empty signal mask, its three streams and
// `extra`; it inherits no other descriptor. Blocks until execve(2) has succeeded or failed.
[[nodiscard]] std::variant<Spawned, SpawnFailure> spawn(const SpawnRequest& request);

// Returns the paths that execvp(3) would try: `name` if it contains a slash, else one for each
// folder of `path`.
[[nodiscard]] std::vector<std::string> search_path(const std::string& name,
                                                   const std::string& path);

// How a process ended (wait4(2)).
struct ExitStatus {
    pid_t pid = 0;
    bool signaled = false;
    int code = 0;    // Valid if not signaled.
    int signal = 0;  // Valid if signaled.
    bool core = false;
    double user_seconds = 0;
    double system_seconds = 0;
    std::uint64_t max_rss_kib = 0;
};

// Reaps one child that has ended; -1: any child. Returns nothing if none has. Never blocks.
std::optional<ExitStatus> reap(pid_t pid = -1);

// Blocks until this child has ended.
ExitStatus wait_for(pid_t pid);

}  // namespace frsh
