#include "server/shell.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr int kReportsFd = 8;  // The shell's own numbers for them.
constexpr int kCommandsFd = 9;
constexpr std::size_t kMaxReport = 64 * 1024;
constexpr std::size_t kMaxLeftovers = 64;

// Not in a function, or `declare` in a command would make variables that end with it. $? on entry
// is what the last command left, also when an interrupt threw bash out of the loop: then bash comes
// here again before its next prompt, and the report is made after all.
constexpr std::string_view kBashLoop = R"sh(
unset HISTFILE
PS1= PS2=
__frsh_n=0
PROMPT_COMMAND='__frsh_s=$?
while builtin :; do
    builtin printf "=%s\0%s\0%s\0" "$__frsh_n" "$__frsh_s" "$PWD" >&8
    IFS= builtin read -r -u 9 __frsh_n || builtin exit 0
    IFS= builtin read -r -d "" __frsh_c <"$__frsh_dir/$__frsh_n.command"
    { builtin printf "+%s\0" "$__frsh_n" >&8; builtin eval "$__frsh_c" 8>&- 9<&-
    } <"$__frsh_dir/$__frsh_n.in" >"$__frsh_dir/$__frsh_n.out" 2>"$__frsh_dir/$__frsh_n.err"
    __frsh_s=$?
done'
)sh";

constexpr std::string_view kShLoop = R"sh(
__frsh_n=0 __frsh_s=0
while :; do
    printf "=%s\0%s\0%s\0" "$__frsh_n" "$__frsh_s" "$PWD" >&8
    IFS= read -r __frsh_n <&9 || exit 0
    { printf "+%s\0" "$__frsh_n" >&8; . "$__frsh_dir/$__frsh_n.command" 8>&- 9<&-
    } <"$__frsh_dir/$__frsh_n.in" >"$__frsh_dir/$__frsh_n.out" 2>"$__frsh_dir/$__frsh_n.err"
    __frsh_s=$?
done
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

}  // namespace

Shell::PrivateFolder::PrivateFolder() {
    const std::string parent = runtime_folder();
    make_private_folder(parent);
    path_ = parent + "/shell-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw SysError("mkdtemp " + parent);
}

Shell::PrivateFolder::~PrivateFolder() {
    ::unlink((path_ + "/start").c_str());
    ::rmdir(path_.c_str());
}

Shell::Shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
             OnReady on_ready)
    : loop_(loop), on_ready_(std::move(on_ready)), id_(open.shell) {
    const std::string& folder = folder_.path();
    marks_ = {run_mark(folder.substr(folder.rfind('/') + 1)), context.session_mark};
    start(context, open);
}

Shell::~Shell() {
    for (const Turn& turn : turns_)
        remove_pipes(turn.number);
    for (Guest* const guest : guests_)
        guest->shell_gone();
}

void Shell::start(const LaunchContext& context, const msg::ShellOpen& open) {
    const std::string bash = find_bash();
    kind_ = bash.empty() ? "sh" : "bash";
    const std::string start_file = folder_.path() + "/start";
    const std::string dir = "__frsh_dir=" + shell_quote(folder_.path()) + "\n";
    SpawnRequest request;
    request.env = run_environment(context, open.env, {}, marks_[0]);
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
    request.extra = {{reports.write_end.get(), kReportsFd}, {commands.read_end.get(), kCommandsFd}};
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError(not_started(*failure, request).message);
    }
    pid_ = std::get<Spawned>(result).pid;
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

void Shell::remove_pipes(unsigned long number) {
    for (const char* const what : {"in", "out", "err", "command"}) {
        ::unlink(path(number, what).c_str());
    }
}

Shell::Streams Shell::enter(Guest& guest, const std::string& command, bool stdin_null) {
    if (status_ || !commands_.is_open()) throw UserError("the shell has ended");
    Turn turn{next_number_++, &guest, {}, false};
    for (const char* const what : {"out", "err"}) {
        check(::mkfifo(path(turn.number, what).c_str(), 0600), "mkfifo");
    }
    write_file(path(turn.number, "command"), command);
    Streams streams;
    // A reader may open a pipe that has no writer yet; a writer needs a reader, so we are one until
    // the shell is.
    const std::string in = path(turn.number, "in");
    if (stdin_null) {
        check(::symlink("/dev/null", in.c_str()), "symlink");
    } else {
        check(::mkfifo(in.c_str(), 0600), "mkfifo");
        turn.stdin_reader = open_pipe(in, O_RDONLY);
        streams.in = open_pipe(in, O_WRONLY);
    }
    streams.out = open_pipe(path(turn.number, "out"), O_RDONLY);
    streams.err = open_pipe(path(turn.number, "err"), O_RDONLY);
    guests_.insert(&guest);
    turns_.push_back(std::move(turn));
    begin_next();
    return streams;
}

void Shell::begin_next() {
    if (!is_ready_ || is_busy_ || turns_.empty() || !commands_.is_open()) return;
    const std::string line = std::to_string(turns_.front().number) + "\n";
    // Shorter than any pipe's buffer, which is empty: the shell has read all that came before.
    if (write_some(commands_.get(), line).status == IoResult::Status::Done) is_busy_ = true;
}

void Shell::leave(Guest& guest) {
    guests_.erase(&guest);
    for (Turn& turn : turns_) {
        if (turn.guest == &guest) turn.guest = nullptr;
    }
}

void Shell::signal(const Guest& guest, int number) {
    // Only within the command itself: an interrupt while bash reads its next number would be lost
    // on the loop, and could tear that number.
    if (!is_busy_ || turns_.front().guest != &guest || !turns_.front().has_begun) return;
    const pid_t group =
        terminal_.master.is_open() ? foreground_group(terminal_.master.get()) : pid_;
    if (group > 0) ::kill(-group, number);
}

void Shell::on_report() {
    char buffer[4096];
    const IoResult result = read_some(reports_.get(), buffer, sizeof buffer);
    if (result.status == IoResult::Status::EndOfFile || report_.size() > kMaxReport) {
        report_watch_.reset();  // Its exit says the rest.
        return;
    }
    report_.append(buffer, result.bytes);
    take_reports();
}

// "+N\0": the command of run N begins, its pipes are open. "=N\0STATUS\0FOLDER\0": it has ended. A
// report about a run that is not at its turn is one said twice, after an interrupt; it is dropped.
void Shell::take_reports() {
    for (;;) {
        const std::size_t first = report_.find('\0');
        if (first == std::string::npos) return;
        const auto number = parse_number(std::string_view(report_).substr(1, first - 1), 0, ~0UL);
        const bool is_current = is_busy_ && number == turns_.front().number;
        if (report_[0] == '+') {
            report_.erase(0, first + 1);
            if (!is_current) continue;
            turns_.front().has_begun = true;
            turns_.front().stdin_reader.close();
            remove_pipes(*number);
            continue;
        }
        const std::size_t second = report_.find('\0', first + 1);
        if (second == std::string::npos) return;
        const std::size_t third = report_.find('\0', second + 1);
        if (third == std::string::npos) return;
        const auto code =
            parse_number(std::string_view(report_).substr(first + 1, second - first - 1), 0, 255);
        cwd_ = report_.substr(second + 1, third - second - 1);
        report_.erase(0, third + 1);
        if (!is_ready_) {
            is_ready_ = true;
            on_ready_(*this);
        } else if (is_current) {
            Guest* const guest = turns_.front().guest;
            remove_pipes(turns_.front().number);
            turns_.pop_front();
            is_busy_ = false;
            if (guest != nullptr) guest->shell_finished(static_cast<int>(code.value_or(255)), cwd_);
        }
        begin_next();
    }
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
    commands_.close();
}

void Shell::end(Ending::First first, Time now) {
    if (ending_ || status_) return;
    ending_.emplace(pid_, marks_, first, 2000ms, now);
    ending_->tick(now);
}

void Shell::exited(const ExitStatus& status) {
    if (reports_.is_open() && report_watch_) on_report();  // The last thing it said.
    status_ = status;
    report_watch_.reset();
    commands_.close();
    // Jobs of its terminal are hung up, as when a window is closed.
    terminal_watch_.reset();
    terminal_ = {};
    for (const Turn& turn : std::exchange(turns_, {})) {
        remove_pipes(turn.number);
        if (turn.guest != nullptr) turn.guest->shell_died(status);
    }
}

void Shell::tick(Time now) {
    if (ending_) ending_->tick(now);
}

EventLoop::Time Shell::next_deadline() const {
    return ending_ ? ending_->next_deadline() : EventLoop::kNever;
}

bool Shell::is_over() const {
    return status_ && (!ending_ || ending_->is_done());
}

}  // namespace frsh
