#include "server/run/shell.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/process_table.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kFolderPrefix = "shell-";
constexpr std::size_t kMaxReport = 64 * 1024;
constexpr std::size_t kMaxLeftovers = 64;
// How often, and how soon first, to look whether a job came into the foreground after a signal.
constexpr int kLooks = 6;
constexpr auto kFirstLook = 10ms;
// A folder younger than this may be one that is just being made.
constexpr std::time_t kYoung = 10;

// The shell's own numbers for the two private descriptors: out of a user's way, who likes single
// digits (`exec 9>lock`), where the shell can count beyond them.
struct PrivateNumbers {
    int reports;
    int commands;
};
constexpr PrivateNumbers kBashNumbers{60, 61};
constexpr PrivateNumbers kShNumbers{8, 9};

// Not in a function, or `declare` in a command would make variables that end with it. $? on entry
// is what the last command left, also when an interrupt threw bash out of the loop: then bash comes
// here again before its next prompt, and the report is made after all; so a PROMPT_COMMAND of the
// user's must not stay. An interrupt that comes late may tear the number that is being read, so
// numbers are said again and only a whole and new one counts. The condition of the `if` hands the
// last status on as $?, without a fork and neither seen by `set -e` nor by an ERR trap. The loop
// that runs once is for a `break` that somebody types; a `break 9` leaves all of ours, and they are
// entered anew. stderr is redirected last, so that `set -x` shows nothing of ours. A TMOUT that
// cannot be unset has started an alarm before bash came here, which would log out in the middle of
// a command; a trap takes it.
constexpr std::string_view kBashLoop = R"sh(
builtin unset HISTFILE PROMPT_COMMAND TMOUT 2>/dev/null
PS1= PS2=
__frsh_n=0
__frsh_status() { __frsh_t=$__frsh_s; __frsh_s=0; builtin return "$__frsh_t"; }
__frsh_loop='__frsh_s=$?
if [[ -n ${TMOUT-} ]]; then builtin trap : ALRM; fi
while builtin :; do
    PROMPT_COMMAND=$__frsh_loop
    builtin printf "\0=%s\0%s\0%s\0.\0" "$__frsh_n" "$__frsh_s" "${PWD-}" >&60
    while builtin :; do
        until IFS= builtin read -r -u 61 __frsh_l; do
            builtin [ $? -gt 128 ] || builtin exit 0
        done
        case $__frsh_l in
            :*:) __frsh_l=${__frsh_l#:} __frsh_l=${__frsh_l%:}
                 if builtin [ "$__frsh_l" -gt "$__frsh_n" ]; then builtin break; fi ;;
        esac
    done
    __frsh_n=$__frsh_l
    IFS= builtin read -r -d "" __frsh_c <"$__frsh_dir/$__frsh_n.command" || builtin :
    for __frsh_once in 1; do
        { builtin printf "\0+%s\0" "$__frsh_n" >&60
          if __frsh_status
          then builtin eval "$__frsh_c" 2>"$__frsh_dir/$__frsh_n.err" 60>&- 61<&-
          else builtin eval "$__frsh_c" 2>"$__frsh_dir/$__frsh_n.err" 60>&- 61<&-
          fi
        } <"$__frsh_dir/$__frsh_n.in" >"$__frsh_dir/$__frsh_n.out"
        __frsh_s=$?
    done
done
builtin eval "$__frsh_loop"'
PROMPT_COMMAND=$__frsh_loop
)sh";

constexpr std::string_view kShLoop = R"sh(
__frsh_n=0 __frsh_s=0
__frsh_status() { __frsh_t=$__frsh_s; __frsh_s=0; return "$__frsh_t"; }
__frsh_loop='while :; do
    printf "\0=%s\0%s\0%s\0.\0" "$__frsh_n" "$__frsh_s" "${PWD-}" >&8
    IFS= read -r __frsh_n <&9 || exit 0
    __frsh_n=${__frsh_n#:} __frsh_n=${__frsh_n%:}
    for __frsh_once in 1; do
        { printf "\0+%s\0" "$__frsh_n" >&8
          if __frsh_status
          then . "$__frsh_dir/$__frsh_n.command" 2>"$__frsh_dir/$__frsh_n.err" 8>&- 9<&-
          else . "$__frsh_dir/$__frsh_n.command" 2>"$__frsh_dir/$__frsh_n.err" 8>&- 9<&-
          fi
        } <"$__frsh_dir/$__frsh_n.in" >"$__frsh_dir/$__frsh_n.out"
        __frsh_s=$?
    done
done
eval "$__frsh_loop"'
eval "$__frsh_loop"
)sh";

void write_file(const std::string& path, std::string_view content) {
    const Fd file(
        check(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open " + path));
    write_all(file.get(), content);
}

Fd open_pipe(const std::string& path, int flags) {
    return Fd(check(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC), "open " + path));
}

std::string find_bash() {
    for (const char* const path : {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}) {
        if (::access(path, X_OK) == 0) return path;
    }
    return "";
}

// Nothing in it is a folder.
void remove_folder(const std::string& path) {
    if (DIR* const folder = ::opendir(path.c_str())) {
        while (const dirent* const entry = ::readdir(folder))
            (void)::unlinkat(::dirfd(folder), entry->d_name, 0);
        ::closedir(folder);
    }
    (void)::rmdir(path.c_str());
}

// What sessions left that were killed. Whoever lives holds a lock on his folder.
void remove_abandoned(const std::string& parent) {
    DIR* const folder = ::opendir(parent.c_str());
    if (folder == nullptr) return;
    std::vector<std::string> abandoned;
    while (const dirent* const entry = ::readdir(folder)) {
        if (!std::string_view(entry->d_name).starts_with(kFolderPrefix)) continue;
        const Fd one(::openat(::dirfd(folder), entry->d_name,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat info {};
        const bool is_old = one.is_open() && ::fstat(one.get(), &info) == 0 &&
                            info.st_mtime + kYoung < std::time(nullptr);
        if (is_old && ::flock(one.get(), LOCK_EX | LOCK_NB) == 0) {
            abandoned.push_back(parent + "/" + entry->d_name);
        }
    }
    ::closedir(folder);
    for (const std::string& path : abandoned)
        remove_folder(path);
}

// The runtime folder, which may be gone: it lasts as long as the user's logins do.
std::string usable_folder() {
    std::string folder = runtime_folder();
    try {
        make_private_folder(folder);
    } catch (const SysError&) {
        folder = "/tmp/frsh-" + std::to_string(::geteuid());
        make_private_folder(folder);
    }
    return folder;
}

}  // namespace

Shell::PrivateFolder::PrivateFolder() : parent_(usable_folder()) {
    remove_abandoned(parent_);
    path_ = parent_ + "/" + std::string(kFolderPrefix) + "XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw SysError("mkdtemp " + parent_);
    lock();
}

void Shell::PrivateFolder::ensure() {
    make_private_folder(parent_);
    make_private_folder(path_);
    struct stat info {};
    const bool is_the_old_one = lock_.is_open() && ::fstat(lock_.get(), &info) == 0;
    if (!is_the_old_one || info.st_nlink == 0) lock();
}

void Shell::PrivateFolder::lock() {
    lock_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Not every file system can lock; then nobody else can either, and nothing is swept.
    if (lock_.is_open()) (void)::flock(lock_.get(), LOCK_EX | LOCK_NB);
}

Shell::PrivateFolder::~PrivateFolder() {
    remove_folder(path_);
}

Shell::Shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
             OnReady on_ready)
    : loop_(loop),
      on_ready_(std::move(on_ready)),
      id_(open.shell),
      on_disconnect_(open.on_disconnect) {
    const std::string& folder = folder_.path();
    origin_.marks = {run_mark(folder.substr(folder.rfind('/') + 1)), context.session_mark};
    start(context, open);
}

Shell::~Shell() {
    for (const Turn& turn : turns_)
        remove_files(turn.number);
    for (Evaluation* const evaluation : evaluations_)
        evaluation->shell_gone();
}

void Shell::start(const LaunchContext& context, const msg::ShellOpen& open) {
    const std::string bash = find_bash();
    kind_ = bash.empty() ? "sh" : "bash";
    const std::string start_file = folder_.path() + "/start";
    const std::string dir = "__frsh_dir=" + shell_quote(folder_.path()) + "\n";
    SpawnRequest request;
    request.env = run_environment(context, open.env, {}, origin_.marks[0]);
    request.cwd = open.cwd.value_or(context.user.home);
    Pty pty;
    if (bash.empty()) {
        write_file(start_file, dir + std::string(kShLoop));
        request.programs = {"/bin/sh"};
        request.argv = {"sh", start_file};
    } else {
        write_file(start_file, "[ -r ~/.bashrc ] && . ~/.bashrc\n" + dir + std::string(kBashLoop));
        request.programs = {bash};
        request.argv = {"bash", "--noediting", "--rcfile", start_file, "-i"};
        pty = open_pty();
        request.controlling_terminal = pty.slave.get();
    }
    Pipe reports = make_pipe();
    Pipe commands = make_pipe();
    const PrivateNumbers numbers = bash.empty() ? kShNumbers : kBashNumbers;
    request.extra = {{reports.write_end.get(), numbers.reports},
                     {commands.read_end.get(), numbers.commands}};
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError(not_started(*failure, request).message);
    }
    pid_ = origin_.program = std::get<Spawned>(result).pid;
    terminal_ = std::move(pty);
    commands_ = std::move(commands.write_end);
    reports_ = std::move(reports.read_end);
    set_nonblocking(reports_.get());
    report_watch_ = loop_.watch(
        "shell: a report", reports_.get(), [] { return short{POLLIN}; },
        [this](short) { on_report(); });
    if (!terminal_.master.is_open()) return;
    // Whoever prints on the terminal itself must not block there for ever.
    terminal_watch_ = loop_.watch(
        "shell: bytes on its private terminal", terminal_.master.get(),
        [] { return short{POLLIN}; },
        [this](short) {
            char ignored[4096];
            (void)read_some(terminal_.master.get(), ignored, sizeof ignored);
        });
}

std::string Shell::path(unsigned long number, const char* what) const {
    return folder_.path() + "/" + std::to_string(number) + "." + what;
}

void Shell::remove_files(unsigned long number) {
    for (const char* const what : {"in", "out", "err", "command"}) {
        ::unlink(path(number, what).c_str());
    }
}

Shell::Streams Shell::enter(Evaluation& evaluation, const std::string& command, bool stdin_null) {
    if (status_ || !commands_.is_open()) throw UserError("the shell has ended");
    try {
        folder_.ensure();
    } catch (const std::exception&) {
        // Nothing can be handed to this shell any more, and the next may find another place.
        end(Termination::First::HangUp, EventLoop::Clock::now());
        throw;
    }
    Turn turn{next_number_++, &evaluation, {}, {}, false, {}};
    try {
        Streams streams = make_streams(turn, command, stdin_null);
        evaluations_.insert(&evaluation);
        turns_.push_back(std::move(turn));
        begin_next();
        return streams;
    } catch (const SysError&) {
        remove_files(turn.number);
        throw;
    }
}

Shell::Streams Shell::make_streams(Turn& turn, const std::string& command, bool stdin_null) {
    for (const char* const what : {"out", "err"}) {
        check(::mkfifo(path(turn.number, what).c_str(), 0600), "mkfifo");
    }
    write_file(path(turn.number, "command"), command);
    Streams streams;
    // Opening a named pipe waits for the other end, unless one does not block; and then a writer
    // needs a reader. So we are both until the shell is there, also if all of stdin has been
    // written by then and its end closed.
    const std::string in = path(turn.number, "in");
    if (stdin_null) {
        check(::symlink("/dev/null", in.c_str()), "symlink");
    } else {
        check(::mkfifo(in.c_str(), 0600), "mkfifo");
        turn.stdin_reader = open_pipe(in, O_RDONLY);
        turn.stdin_writer = open_pipe(in, O_WRONLY);
        streams.in = open_pipe(in, O_WRONLY);
    }
    streams.out = open_pipe(path(turn.number, "out"), O_RDONLY);
    streams.err = open_pipe(path(turn.number, "err"), O_RDONLY);
    return streams;
}

void Shell::begin_next() {
    if (!is_ready_ || is_busy_ || turns_.empty() || !commands_.is_open()) return;
    is_busy_ = true;
    hand_over();
}

// The newline in front ends what a torn number may have left.
void Shell::hand_over() {
    const std::string_view before = kind_ == "bash" ? "\n:" : ":";
    const std::string line = std::string(before) + std::to_string(turns_.front().number) + ":\n";
    // A pipe takes so little as one or not at all, and it is all but empty: the shell has read what
    // came before.
    (void)write_some(commands_.get(), line);
}

void Shell::leave(Evaluation& evaluation) {
    evaluations_.erase(&evaluation);
    for (Turn& turn : turns_) {
        if (turn.evaluation == &evaluation) turn.evaluation = nullptr;
    }
}

bool Shell::withdraw(Evaluation& evaluation) {
    const auto turn = std::find_if(turns_.begin(), turns_.end(),
                                   [&](const Turn& one) { return one.evaluation == &evaluation; });
    if (turn == turns_.end() || (is_busy_ && turn == turns_.begin())) return false;
    remove_files(turn->number);
    turns_.erase(turn);
    return true;
}

void Shell::signal(const Evaluation& evaluation, int number) {
    const auto turn = std::find_if(turns_.begin(), turns_.end(),
                                   [&](const Turn& one) { return one.evaluation == &evaluation; });
    if (turn == turns_.end()) return;
    // Only within the command itself: an interrupt while bash reads its next number would be lost
    // on the loop, and could tear that number.
    if (turn->has_begun) {
        signal_foreground(number);
    } else {
        turn->signals.insert(number);
    }
}

// A shell with a terminal is bash. It notes an interrupt and acts on it when it can: where it was
// about to start a job, when that has ended. A fork of it that is to become a job takes the
// interrupt for nothing, as what was noted is forgotten in fork(2) and in exec(2); or it dies of it
// before the others of its pipeline are there and gives the terminal back over their heads, so that
// nothing typed reaches them any more. So nobody gets it before all forks are ready for it, and we
// look again until there is a job that has got it. Each process gets it once, and a fork once more
// when it has become a program.
//
// What is left is what is so at a terminal, too: a program that ends by itself in the microsecond
// between our look and the signal has it, and the next of a list has not.
void Shell::signal_foreground(int number) {
    signal_ = number;
    groups_.clear();
    signaled_.clear();
    processor_ = 0;
    looks_ = 0;
    const Time now = EventLoop::Clock::now();
    if (terminal_.master.is_open()) return look_for_job(now);
    for (const auto& [process, is_copy] : look_at_foreground(pid_, true).members) {
        if (is_copy) signaled_.emplace(process.pid, true);
    }
    ::kill(-pid_, number);
    if (!signaled_.empty()) look_again_ = now + kFirstLook;
}

// Without a terminal everything is in one group, and nobody in it catches what would end him. But
// dash and a copy of it that is to become a program (vfork(2)) both take what comes before the
// execve(2) for nothing.
void Shell::look_for_programs(Time now) {
    look_again_ = EventLoop::kNever;
    bool is_any_left = false;
    for (const auto& [process, is_copy] : look_at_foreground(pid_, true).members) {
        if (!signaled_.contains({process.pid, true})) continue;
        is_any_left |= is_copy;
        if (!is_copy && signaled_.emplace(process.pid, false).second) {
            (void)send_signal(process, signal_);
        }
    }
    if (is_any_left && looks_ < kLooks) look_again_ = now + kFirstLook * (1 << looks_++);
}

void Shell::look_for_job(Time now) {
    look_again_ = EventLoop::kNever;
    const pid_t group = foreground_group(terminal_.master.get());
    const bool is_last = looks_ == kLooks;
    if (group != pid_) groups_.insert(group);
    const Foreground found = look_at_foreground(group, is_last);
    // A short one may have ended since it was looked at.
    const bool is_job =
        group != pid_ &&
        std::any_of(found.members.begin(), found.members.end(), [&](const auto& one) {
            return one.first.group == group && is_there(one.first);
        });
    if (found.are_all_ready) send_to(found, group, is_job);
    if (is_last || (is_job && !found.may_change)) return;
    look_again_ = now + kFirstLook * (1 << looks_);
    // On a busy machine they may not have come to do anything since.
    const bool has_moved = std::exchange(processor_, found.processor) != found.processor;
    if (has_moved || !found.is_held_up) ++looks_;
}

void Shell::send_to(const Foreground& found, pid_t group, bool is_job) {
    const bool is_first = signaled_.empty();
    // All at once, so that none of them can fork in between.
    const bool is_for_all = group != pid_ && group > 0 && is_first;
    if (is_for_all) ::kill(-group, signal_);
    // Where a job has just ended, bash takes the terminal back now, and waits for nobody else. It
    // survives an interrupt; anything else was for the job.
    if (!is_job && is_first && (signal_ == SIGINT || groups_.empty())) {
        signaled_.emplace(pid_, false);
        ::kill(pid_, signal_);
    }
    for (const auto& [process, is_copy] : found.members) {
        const bool is_new = signaled_.emplace(process.pid, is_copy).second;
        const bool has_it = is_for_all && process.group == group;
        if (is_new && !has_it) (void)send_signal(process, signal_);
    }
}

Shell::Foreground Shell::look_at_foreground(pid_t group, bool is_last) const {
    Foreground found;
    const std::string arguments = arguments_of(pid_);
    for (ProcessInfo& one : list_processes()) {
        if (one.session != pid_ || one.is_exiting) continue;
        // A fork that dies of an interrupt gives the terminal back, whoever else of its job lives.
        const bool is_here = one.group == group || groups_.contains(one.group);
        const bool is_shell = one.pid == pid_;
        const bool is_copy = !is_shell && !arguments.empty() && arguments_of(one.pid) == arguments;
        // Bash ignores QUIT. A fork of it that does not has been given the signals of a job: they
        // are set in the order of their numbers, so INT has been.
        const bool is_ready = !is_copy || is_last || !ignores_signal(one.pid, SIGQUIT);
        if (is_shell || !is_ready || (is_copy && is_here)) {
            found.may_change |= !is_shell;
            found.processor += one.processor;
            found.is_held_up |= one.state == 'R' || one.state == 'D';
        }
        found.are_all_ready &= is_ready;
        if (is_here && !is_shell) found.members.emplace_back(std::move(one), is_copy);
    }
    return found;
}

void Shell::on_report() {
    char buffer[4096];
    const IoResult result = read_some(reports_.get(), buffer, sizeof buffer);
    if (result.status == IoResult::Status::EndOfFile) {
        report_watch_.reset();  // Its exit says the rest.
        return;
    }
    report_.append(buffer, result.bytes);
    take_reports();
    if (report_.size() > kMaxReport) {
        // A folder's name is shorter. Nothing that it says from here on could be told apart.
        report_watch_.reset();
        end(Termination::First::Terminate, EventLoop::Clock::now());
    }
}

// A report is some fields, each ended by a NUL: "+N", the command of run N begins, its stdin and
// stdout are open; or "=N", status, folder, ".": it has ended. One that an interrupt tore is
// dropped: each begins with an empty field, and bash makes a new one after an interrupt.
void Shell::take_reports() {
    for (std::size_t end = 0; (end = report_.find('\0')) != std::string::npos;) {
        std::string field = report_.substr(0, end);
        report_.erase(0, end + 1);
        const bool is_first = field.starts_with('=') || field.starts_with('+');
        if (is_first) fields_.clear();
        if (!is_first && fields_.empty()) continue;
        fields_.push_back(std::move(field));
        if (fields_[0][0] == '+') {
            command_began(std::exchange(fields_, {}));
        } else if (fields_.size() == 4) {
            if (fields_[3] == ".") command_ended(fields_);
            fields_.clear();
        }
    }
}

bool Shell::is_current(const std::string& report) const {
    const auto number = parse_number(std::string_view(report).substr(1), 0, ~0UL);
    return is_busy_ && number == turns_.front().number;
}

void Shell::command_began(const std::vector<std::string>& report) {
    if (!is_current(report[0])) return;
    Turn& turn = turns_.front();
    turn.has_begun = true;
    turn.stdin_reader.close();
    turn.stdin_writer.close();
    for (const int asked : std::exchange(turn.signals, {}))
        signal_foreground(asked);
}

void Shell::command_ended(const std::vector<std::string>& report) {
    cwd_ = report[2];
    if (!is_ready_) {
        is_ready_ = true;
        on_ready_(*this);
    } else if (is_current(report[0])) {
        Evaluation* const evaluation = turns_.front().evaluation;
        remove_files(turns_.front().number);
        turns_.pop_front();
        is_busy_ = false;
        look_again_ = EventLoop::kNever;
        const auto code = parse_number(report[1], 0, 255);
        if (evaluation != nullptr)
            evaluation->shell_finished(static_cast<int>(code.value_or(255)), cwd_);
    } else if (is_busy_ && !turns_.front().has_begun) {
        hand_over();  // Interrupted while it waited for this number: it may be lost.
    }
    begin_next();
}

void Shell::keep_reading(Fd pipe) {
    if (leftovers_.size() == kMaxLeftovers) leftovers_.erase(leftovers_.begin());
    auto leftover = std::make_unique<Leftover>();
    Leftover* const lent = leftover.get();
    leftover->pipe = std::move(pipe);
    leftover->watch = loop_.watch(
        "shell: bytes of a run that is over", lent->pipe.get(), [] { return short{POLLIN}; },
        [this, lent](short) {
            char ignored[16384];
            if (read_some(lent->pipe.get(), ignored, sizeof ignored).status !=
                IoResult::Status::EndOfFile) {
                return;
            }
            std::erase_if(leftovers_, [lent](const auto& one) { return one.get() == lent; });
        });
    leftovers_.push_back(std::move(leftover));
}

void Shell::close() {
    is_closed_ = true;
    commands_.close();
}

void Shell::end(Termination::First first, Time now) {
    if (termination_ || (status_ && is_closed_)) return;
    termination_.emplace(origin_, first, 2000ms, now);
    termination_->tick(now);
}

void Shell::exited(const ExitStatus& status) {
    if (reports_.is_open() && report_watch_) on_report();  // The last thing it said.
    status_ = status;
    origin_.reaped = now_in_ticks();
    if (termination_) termination_->reaped(*origin_.reaped);
    look_again_ = EventLoop::kNever;
    report_watch_.reset();
    commands_.close();
    // Jobs of its terminal are hung up, as when a window is closed.
    terminal_watch_.reset();
    terminal_ = {};
    for (const Turn& turn : std::exchange(turns_, {})) {
        remove_files(turn.number);
        if (turn.evaluation == nullptr) continue;
        if (turn.has_begun) {
            turn.evaluation->shell_died(status);
        } else {
            turn.evaluation->shell_never_began();
        }
    }
}

void Shell::tick(Time now) {
    if (now >= look_again_) {
        terminal_.master.is_open() ? look_for_job(now) : look_for_programs(now);
    }
    if (termination_) termination_->tick(now);
}

EventLoop::Time Shell::next_deadline() const {
    return std::min(look_again_, termination_ ? termination_->next_deadline() : EventLoop::kNever);
}

bool Shell::is_over() const {
    return status_ && (!termination_ || termination_->is_done());
}

}  // namespace frsh
