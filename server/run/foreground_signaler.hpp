// ForegroundSignaler sends a signal to the command that a shell runs, and not to the shell.
//
// With a terminal, the shell is bash. Bash records an interrupt and acts on it later; if it was
// about to start a job, it acts after that job. A fork of bash that is about to become a job has
// two problems. It can lose the interrupt, since fork(2) and execve(2) drop the record. Or it dies
// of the interrupt before the rest of its pipeline exists: then it gives the terminal back to bash,
// and the rest gets no more keys. So no process gets the signal before all forks are ready for it.
// The process table is read again until a job has got it. Each process gets the signal once, and a
// fork once more when it has become a program.
//
// Without a terminal, the shell is sh, and its commands are in its own process group. The signal
// goes to the whole group. Sh ignores it, and so does a copy of sh (vfork(2)) before its execve(2).
// Such a copy gets the signal again when it has become a program.
//
// One race remains, as at a terminal: if a program ends by itself between the look at the process
// table and the signal, the signal is used up and the next command of a list does not get it.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/process_table.hpp"

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace frsh {

class ForegroundSignaler {
  public:
    using Time = EventLoop::Time;

    // `terminal` is the master of the shell's terminal, lent; -1 if the shell has none.
    ForegroundSignaler(pid_t shell, int terminal) : shell_(shell), terminal_(terminal) {}

    // Sends the signal to the command in the foreground. Replaces a signal still being sent.
    // HasIt: the terminal is about to send the signal, so only what may miss that is looked for.
    enum class Shell { NeedsIt, HasIt };
    void send(int signal, Shell shell = Shell::NeedsIt);
    // Stops looking for processes that have not got the signal yet.
    void cancel() { next_look_ = EventLoop::kNever; }

    void tick(Time now);
    [[nodiscard]] Time next_deadline() const { return next_look_; }

  private:
    // What one look at the process table found.
    struct Foreground {
        // The foreground without the shell. True: the process is still a copy of the shell.
        std::vector<std::pair<ProcessInfo, bool>> members;
        bool are_all_ready = true;    // Every copy of the shell has set the signals of a job.
        bool may_change = false;      // A copy of the shell may become a program, or start one.
        bool is_held_up = false;      // A copy or the shell waits for a processor or a disk.
        std::uint64_t processor = 0;  // Clock ticks of processor time of the copies and the shell.
    };

    void follow_key(Time now);
    void look_for_job(Time now);
    void look_for_programs(Time now);
    void send_to(const Foreground& found, pid_t group, bool is_job);
    [[nodiscard]] Foreground look_at_foreground(pid_t group, bool is_last) const;

    pid_t shell_;
    int terminal_;
    int signal_ = 0;
    std::set<pid_t> groups_;                     // Jobs seen in the foreground since send().
    std::set<std::pair<pid_t, bool>> signaled_;  // By pid; true: as a copy of the shell.
    std::uint64_t processor_ = 0;                // Foreground::processor of the last look.
    int looks_ = 0;                              // Since send().
    Time next_look_ = EventLoop::kNever;
};

}  // namespace frsh
