// Executor is how the command of a run is executed: as a process of its own (ProcessExecutor) or
// by a shell (ShellExecutor). Run owns one and does the rest: streams, limits and the record.
#pragma once

#include "common/base/terminal.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"
#include "common/sys/process_table.hpp"
#include "server/run/termination.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace frsh {

// Why a run is ended before its command ends by itself.
enum class EndReason { None, WallTimeout, IdleTimeout, Canceled, Disconnected };

class Executor {
  public:
    using Time = EventLoop::Time;

    // The object that is notified of the command's end, once.
    class Owner {
      public:
        virtual void command_ended(const ExitStatus& status) = 0;
        // No program ran.
        virtual void command_never_began(NotStarted why) = 0;

      protected:
        ~Owner() = default;
    };

    virtual ~Executor() = default;

    // Returns 0 in a shell.
    [[nodiscard]] virtual pid_t pid() const { return 0; }
    // Returns true if this is the command's process and it has not been waited for.
    [[nodiscard]] virtual bool awaits(pid_t) const { return false; }
    // Reports that the command's process was reaped.
    virtual void exited(const ExitStatus&) {}

    // Sends the signal to the command's foreground processes; none if the command has ended.
    virtual void signal(int number) = 0;
    virtual void resize(const WindowSize&) {}
    // Returns true if the command has borrowed a terminal that goes on after it.
    [[nodiscard]] virtual bool has_borrowed_terminal() const { return false; }
    // Takes what was typed on a borrowed terminal and no program has read.
    [[nodiscard]] virtual std::string take_unread() { return ""; }
    // Closes the command's terminal, so that its processes get HUP. Returns false if it has none.
    virtual bool hang_up() { return false; }

    enum class Ending {
        Begun,         // The command will end; if not, its survivors are named.
        NeverBegan,    // The command had not begun, and will not.
        AlreadyEnded,  // Only the streams are still open.
    };
    // Ends the command and everything it started. Called once. `input` is the pipe of the command's
    // stdin, or closed. It stays open until all these processes have ended: an end of file would
    // tell a program that it has all of its input (`cat >new && mv new final`).
    virtual Ending end(EndReason reason, Termination::First first, Time now, Fd input) = 0;
    // Goes straight to KILL, if end() was called.
    virtual void hurry(Time) {}
    // Returns the termination of the command's processes, once there is one; null otherwise.
    [[nodiscard]] virtual const Termination* termination() const { return nullptr; }
    virtual void tick(Time now) = 0;
    [[nodiscard]] virtual Time next_deadline() const = 0;

    // Takes the pipe of an output stream that processes still hold when the run is over.
    virtual void take_leftover(Fd) {}
    // Releases the terminal: the run is over.
    virtual void release() {}
    // Returns the path of the command's terminal, or "".
    [[nodiscard]] virtual std::string terminal_name() const { return ""; }
    // Returns the shell's folder after the command.
    [[nodiscard]] virtual std::optional<std::string> cwd() const { return std::nullopt; }
    // Returns how often the kernel killed for lack of memory since the start.
    [[nodiscard]] virtual std::optional<std::uint64_t> oom_kills() const { return std::nullopt; }
};

}  // namespace frsh
