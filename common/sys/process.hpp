// Starting another program, and learning how it ended.
//
// fork(2) gives a copy of this process, execve(2) replaces the copy by a program. What lies between
// the two is the dangerous moment, and is alone in one function in process.cpp. A child that has
// ended stays behind as a zombie, a line in the process table that holds its status, until its
// parent waits for it; reap() is that wait.
#pragma once

#include "common/sys/fd.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace frsh {

struct SpawnRequest {
    // Tried one after another until one can be executed, as execvp(3) does with PATH.
    std::vector<std::string> programs;
    std::vector<std::string> argv;
    std::vector<std::string> env;
    std::string cwd;                       // Empty: where we are.
    std::array<int, 3> stdio{-1, -1, -1};  // Lent; -1 is /dev/null.
    // Lent descriptors that the program keeps, under numbers of its own from 3 upwards.
    std::vector<std::pair<int, int>> extra;  // {ours, the child's number}
    int controlling_terminal = -1;           // Lent; the slave side of a pty.
    bool new_session = true;                 // setsid(2): a group, and a session, of its own.
    bool ignore_interrupts = false;  // SIGINT and SIGQUIT of a shared terminal are not for it.
};

// Which step refused, and why. No program ran.
struct SpawnFailure {
    enum class Stage { Fork, Cwd, Exec };
    Stage stage;
    int error;
};

struct Spawned {
    pid_t pid;
    Fd pidfd;  // Readable once the process has ended; never names another process.
};

// The program starts with every signal at its default, an empty mask, its three streams and
// `extra`, and nothing else of ours. Returns once the program runs or could not be started.
[[nodiscard]] std::variant<Spawned, SpawnFailure> spawn(const SpawnRequest& request);

// The candidates of execvp(3): `name` itself where it has a slash, else one for each folder of
// `path`.
[[nodiscard]] std::vector<std::string> search_path(const std::string& name,
                                                   const std::string& path);

// How a process ended, as wait(2) tells it.
struct ExitStatus {
    pid_t pid = 0;
    bool signaled = false;
    int code = 0;    // Where not signaled.
    int signal = 0;  // Where signaled.
    bool core = false;
    double user_seconds = 0;
    double system_seconds = 0;
    std::uint64_t max_rss_kib = 0;
};

// One child that has ended, or nothing for now. Never blocks. -1: any child.
std::optional<ExitStatus> reap(pid_t pid = -1);

// Blocks until this child has ended.
ExitStatus wait_for(pid_t pid);

}  // namespace frsh
