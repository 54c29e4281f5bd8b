// A stateful shell: runs are evaluated in it one after another, so that what one does to folder,
// variables and functions is there for the next.
//
// It is an interactive bash without an editor. Its terminal is a private pty that nobody looks at:
// it exists so that job control and Ctrl-C work as they do for a person. A loop in PROMPT_COMMAND
// takes the number of a run from one private descriptor, evaluates that run's command with its
// streams on three named pipes of its own, and reports number, status and folder on another. So
// each run has an end of file of its own on every stream, nothing is ever scraped from output, and
// a command sees no descriptor but 0, 1 and 2.
//
// Where there is no bash, sh does the same without a terminal: a syntax error or an interrupt ends
// it then, and the client opens another.
#pragma once

#include "common/sys/process_table.hpp"
#include "common/sys/pty.hpp"
#include "server/run/launch.hpp"
#include "server/run/termination.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class Shell {
  public:
    using Time = EventLoop::Time;

    // The streams of one run, our ends.
    struct Streams {
        Fd in;
        Fd out;
        Fd err;
    };
    // A run that was evaluated here. Lent; it must leave() before it is destroyed.
    class Evaluation {
      public:
        virtual ~Evaluation() = default;
        virtual void shell_finished(int code, const std::string& cwd) = 0;
        virtual void shell_died(const ExitStatus& status) = 0;
        // The shell ended before this run's turn came.
        virtual void shell_never_began() = 0;
        // The shell is about to be destroyed; it has said everything else before.
        virtual void shell_gone() = 0;
    };
    // Told when the shell is ready for the first time.
    using OnReady = std::function<void(const Shell&)>;

    // Throws SysError or UserError where it cannot be started.
    Shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
          OnReady on_ready);
    ~Shell();
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    // A child of ours that has not been waited for.
    [[nodiscard]] bool awaits(pid_t pid) const { return pid_ == pid && !status_; }
    [[nodiscard]] ShellId id() const { return id_; }
    [[nodiscard]] const std::string& kind() const { return kind_; }
    [[nodiscard]] const std::string& cwd() const { return cwd_; }
    [[nodiscard]] bool is_ready() const { return is_ready_; }
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }

    // Evaluates `command` when all that was asked before has ended. The streams are there at once.
    [[nodiscard]] Streams enter(Evaluation& evaluation, const std::string& command,
                                bool stdin_null);
    void leave(Evaluation& evaluation);
    // Takes back what has not been handed to the shell yet; false where it has.
    bool withdraw(Evaluation& evaluation);
    // To what is running in the foreground for this guest; before its turn, as soon as that begins.
    void signal(const Evaluation& evaluation, int number);
    // Somebody still holds a stream of a run that is over: what he writes is read and dropped, so
    // that he does not die of it while the shell lives.
    void keep_reading(Fd pipe);

    // No more runs: it ends as at the end of its input.
    void close();
    // It was asked to end by close(), so what it left running was let go.
    [[nodiscard]] bool is_closed() const { return is_closed_; }
    // Where to find what it started.
    [[nodiscard]] const ProcessOrigin& origin() const { return origin_; }
    // End it and everything it started.
    void end(Termination::First first, Time now);
    void exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

    [[nodiscard]] bool is_ending() const { return termination_ || status_; }
    [[nodiscard]] const std::optional<ExitStatus>& status() const { return status_; }
    // It has ended, and so has everything that was to end with it.
    [[nodiscard]] bool is_over() const;

  private:
    // With everything of ours that has a name in it.
    class PrivateFolder {
      public:
        PrivateFolder();
        ~PrivateFolder();
        PrivateFolder(const PrivateFolder&) = delete;
        PrivateFolder& operator=(const PrivateFolder&) = delete;
        [[nodiscard]] const std::string& path() const { return path_; }
        // Makes it anew where somebody tidied it away. Throws SysError or UserError where it is
        // not ours alone any more, or cannot be.
        void ensure();

      private:
        void lock();
        std::string parent_;
        std::string path_;
        Fd lock_;  // Held while this lives: without it, the folder is an abandoned one.
    };
    struct Turn {
        unsigned long number;
        Evaluation* evaluation;  // Null once it has left.
        Fd stdin_reader;         // Both are held until the shell has opened that pipe itself.
        Fd stdin_writer;
        bool has_begun = false;
        std::set<int> signals;  // Asked for before it began.
    };
    // Who would get what is typed on the terminal, and who may yet.
    struct Foreground {
        // Without the shell; and whether they are copies of it still.
        std::vector<std::pair<ProcessInfo, bool>> members;
        bool are_all_ready = true;    // For a signal; also those who are not there yet.
        bool may_change = false;      // Copies of the shell may become programs, or start some.
        bool is_held_up = false;      // One of them, or the shell, waits for a processor or a disk.
        std::uint64_t processor = 0;  // What these had of one.
    };
    struct Leftover {
        Fd pipe;
        EventLoop::Watch watch;
    };

    void start(const LaunchContext& context, const msg::ShellOpen& open);
    [[nodiscard]] Streams make_streams(Turn& turn, const std::string& command, bool stdin_null);
    void begin_next();
    void hand_over();
    void signal_foreground(int number);
    void look_for_job(Time now);
    void look_for_programs(Time now);
    void send_to(const Foreground& found, pid_t group, bool is_job);
    [[nodiscard]] Foreground look_at_foreground(pid_t group, bool is_last) const;
    void on_report();
    void take_reports();
    [[nodiscard]] bool is_current(const std::string& report) const;
    void command_began(const std::vector<std::string>& report);
    void command_ended(const std::vector<std::string>& report);
    void remove_files(unsigned long number);
    [[nodiscard]] std::string path(unsigned long number, const char* what) const;

    EventLoop& loop_;
    OnReady on_ready_;
    ShellId id_;
    OnDisconnect on_disconnect_;
    std::string kind_;
    PrivateFolder folder_;
    std::string cwd_;
    pid_t pid_ = 0;
    ProcessOrigin origin_;
    Pty terminal_;  // Both sides: while one of them is ours, its end is not the shell's to make.
    Fd commands_;   // We write numbers of runs here.
    Fd reports_;
    std::string report_;               // Bytes of a field that is not whole yet.
    std::vector<std::string> fields_;  // Of a report that is not.
    bool is_ready_ = false;
    bool is_closed_ = false;
    unsigned long next_number_ = 1;
    std::set<Evaluation*> evaluations_;
    std::deque<Turn> turns_;                     // The first is the one that is evaluated.
    bool is_busy_ = false;                       // The first has been handed over.
    int signal_ = 0;                             // Sent last, and to whom.
    std::set<pid_t> groups_;                     // The jobs that were in the foreground since.
    std::set<std::pair<pid_t, bool>> signaled_;  // As copies of the shell (true), or as programs.
    std::uint64_t processor_ = 0;                // What those had that may still become a job.
    int looks_ = 0;
    Time look_again_ = EventLoop::kNever;  // For who came too late for it.
    std::optional<ExitStatus> status_;
    std::optional<Termination> termination_;
    std::vector<std::unique_ptr<Leftover>> leftovers_;
    EventLoop::Watch report_watch_;
    EventLoop::Watch terminal_watch_;
};

}  // namespace frsh
