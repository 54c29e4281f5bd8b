// ShellTurns are the runs that wait in a shell, in order; the first is the one being evaluated.
//
// Each turn has files in the shell's private folder: "N.command" and, unless the command runs on
// the shell's terminal, the named pipes "N.in", "N.out" and "N.err".
//
//     state       leaves it when                                            for
//     Waiting     it is first and the shell is ready: its number was sent   HandedOver
//     HandedOver  the shell reports that the command begins                 Begun
//     Begun       the shell reports that the command has ended              (removed)
#pragma once

#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"
#include "server/run/command_streams.hpp"
#include "server/run/private_folder.hpp"

#include <deque>
#include <set>
#include <string>

namespace frsh {

// A run that is evaluated in a shell.
class Evaluation {
  public:
    virtual ~Evaluation() = default;
    virtual void evaluation_ended(int code, const std::string& cwd) = 0;
    // The shell ended while it evaluated this run.
    virtual void shell_died(const ExitStatus& status) = 0;
    // The shell ended before the turn of this run came.
    virtual void evaluation_never_began() = 0;
    // The shell is about to be destroyed. One of the calls above came before, if one was due.
    virtual void shell_gone() = 0;
};

class ShellTurns {
  public:
    enum class State { Waiting, HandedOver, Begun };
    struct Turn {
        unsigned long number;
        Evaluation* evaluation;  // Lent; null once it has left.
        Fd stdin_reader;         // Both ends are held until the shell has opened the pipe itself.
        Fd stdin_writer;
        State state = State::Waiting;
        std::set<int> signals;  // To be sent when the command begins.
    };

    ShellTurns() = default;
    ~ShellTurns() { clear(); }
    ShellTurns(const ShellTurns&) = delete;
    ShellTurns& operator=(const ShellTurns&) = delete;

    [[nodiscard]] PrivateFolder& folder() { return folder_; }

    // Adds a turn at the end and makes its files. Throws SysError, and then leaves no file behind.
    [[nodiscard]] CommandStreams add(Evaluation& evaluation, const std::string& command,
                                     bool stdin_null);
    // As add(), for a command on the shell's terminal.
    void add_on_terminal(Evaluation& evaluation, const std::string& command);
    // Returns null if the evaluation has no turn here.
    [[nodiscard]] Turn* find(const Evaluation& evaluation);
    // Removes a turn that is still waiting, with its files. Returns false for any other.
    bool withdraw(const Evaluation& evaluation);

    [[nodiscard]] bool is_empty() const { return turns_.empty(); }
    [[nodiscard]] Turn& first() { return turns_.front(); }
    [[nodiscard]] const Turn& first() const { return turns_.front(); }
    // True if the first turn's number has been sent to the shell.
    [[nodiscard]] bool is_busy() const {
        return !turns_.empty() && turns_.front().state != State::Waiting;
    }
    // Removes the first turn and its files.
    void remove_first();
    // Removes all turns and their files, and returns them.
    std::deque<Turn> clear();

  private:
    [[nodiscard]] CommandStreams make_files(Turn& turn, const std::string& command,
                                            bool stdin_null);
    void remove_files(unsigned long number);
    [[nodiscard]] std::string path(unsigned long number, const char* what) const;

    PrivateFolder folder_;
    unsigned long next_number_ = 1;
    std::deque<Turn> turns_;
};

}  // namespace frsh
