#include "server/run/shell.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "server/run/terminal_wait.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <utility>
#include <vector>

#include <poll.h>

namespace frsh {
namespace {

// Between TERM and KILL when a shell is ended.
constexpr std::chrono::milliseconds kShellTerminationGrace{2000};

// A question of a start-up file is looked for once more after this time.
constexpr std::chrono::milliseconds kNextLook{500};
// Returns a word of the command line of a shell that has not replaced itself.
const char* start_word(const std::string& kind) {
    return kind == "zsh" ? "pathscript" : "--rcfile";
}

// Returns the master of the shell's terminal, lent; -1 if it has none.
int terminal_of(const ShellProgram& program) {
    return program.terminal ? program.terminal->master() : -1;
}

// Each shell's folder has a name of its own, so it serves as the shell's mark, too.
std::vector<std::string> marks_of(const std::string& folder, const LaunchContext& context) {
    return {run_mark(folder.substr(folder.rfind('/') + 1)), context.session_mark};
}

}  // namespace

Shell::Shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
             OnReady on_ready)
    : on_ready_(std::move(on_ready)),
      open_(open),
      start_{loop, context, EventLoop::Clock::now() + context.shell_start_time},
      origin_{0, marks_of(turns_.folder().path(), context)},
      program_(start_shell(loop, open, context, turns_.folder(), origin_.marks[0], StartUp::Read)),
      signaler_(program_.pid, terminal_of(program_)),
      drain_(loop) {
    origin_.program = program_.pid;
    watch_reports();
}

void Shell::watch_reports() {
    report_watch_ = start_.loop.watch(
        "shell: a report", program_.reports.get(), [] { return short{POLLIN}; },
        [this](short) { on_report(); });
}

Shell::~Shell() {
    for (Evaluation* const evaluation : evaluations_)
        evaluation->shell_gone();
}

// Start-up files may replace the shell, end it or never end. Then the shell starts without the one
// that did it.
bool Shell::may_start_again() const {
    return state_ == State::Starting && has_terminal() && !start_.is_second && !termination_ &&
           !is_closed_;
}

void Shell::start_again() {
    start_.is_second = true;
    start_.deadline = EventLoop::kNever;
    report_watch_.reset();
    program_ = {};  // The terminal hangs up, so what the files started there ends.
    program_ = start_shell(start_.loop, open_, start_.context, turns_.folder(), origin_.marks[0],
                           StartUp::LeftOut);
    origin_.program = program_.pid;
    signaler_ = ForegroundSignaler(program_.pid, terminal_of(program_));
    parser_ = {};
    watch_reports();
}

void Shell::check_enterable() {
    if (status_ || !program_.commands.is_open()) throw UserError("the shell has ended");
    try {
        turns_.folder().ensure();
    } catch (const std::exception&) {
        // This shell can get no more commands. The client's next shell may find another folder.
        end(Termination::First::HangUp, EventLoop::Clock::now());
        throw;
    }
}

CommandStreams Shell::enter_on_terminal(Evaluation& evaluation, const std::string& command,
                                        const WindowSize& size) {
    check_enterable();
    if (!has_terminal()) throw UserError("this shell has no terminal");
    CommandStreams streams = program_.terminal->lend(size);
    try {
        turns_.add_on_terminal(evaluation, command);
    } catch (const std::exception&) {
        program_.terminal->give_back();
        throw;
    }
    evaluations_.insert(&evaluation);
    begin_next();
    return streams;
}

CommandStreams Shell::enter(Evaluation& evaluation, const std::string& command, bool stdin_null) {
    check_enterable();
    CommandStreams streams = turns_.add(evaluation, command, stdin_null);
    evaluations_.insert(&evaluation);
    begin_next();
    return streams;
}

void Shell::leave(Evaluation& evaluation) {
    evaluations_.erase(&evaluation);
    if (auto* const turn = turns_.find(evaluation)) turn->evaluation = nullptr;
}

bool Shell::withdraw(Evaluation& evaluation) {
    return turns_.withdraw(evaluation);
}

void Shell::signal(const Evaluation& evaluation, int number) {
    auto* const turn = turns_.find(evaluation);
    if (turn == nullptr) return;
    // Only while the command runs: if an interrupt came while bash reads its next number, the loop
    // would take it, and the number could be torn.
    if (turn->state == ShellTurns::State::Begun) {
        signaler_.send(number);
    } else {
        turn->signals.insert(number);
    }
}

void Shell::interrupt_typed() {
    if (!turns_.is_busy() || turns_.first().state != ShellTurns::State::Begun) return;
    if (has_terminal()) signaler_.send(SIGINT, ForegroundSignaler::Shell::HasIt);
}

void Shell::begin_next() {
    if (state_ != State::Ready || turns_.is_busy() || turns_.is_empty()) return;
    if (!program_.commands.is_open()) return;
    turns_.first().state = ShellTurns::State::HandedOver;
    hand_over();
}

// Sends the number of the first turn. In bash's format a newline ends what an interrupt may have
// left of a torn number.
void Shell::hand_over() {
    if (program_.kind == "zsh") {
        (void)write_some(
            program_.commands.get(),
            "{ __frsh_take " + std::to_string(turns_.first().number) + " } 2>/dev/null\n");
        return;
    }
    const std::string_view before = program_.kind == "bash" ? "\n:" : ":";
    const std::string line = std::string(before) + std::to_string(turns_.first().number) + ":\n";
    // A pipe takes a line below PIPE_BUF whole or not at all (pipe(7)). It is nearly empty here:
    // the shell has read all earlier numbers.
    (void)write_some(program_.commands.get(), line);
}

void Shell::on_report() {
    char buffer[4096];
    const IoResult result = read_some(program_.reports.get(), buffer, sizeof buffer);
    if (result.status == IoResult::Status::EndOfFile) {
        report_watch_.reset();  // exited() does the rest when the process has ended.
        return;
    }
    parser_.feed({buffer, result.bytes}, [this](const ShellReport& report) { take(report); });
    if (!parser_.is_plausible()) {
        report_watch_.reset();
        end(Termination::First::Terminate, EventLoop::Clock::now());
    }
}

void Shell::take(const ShellReport& report) {
    if (report.kind == ShellReport::Kind::Began) {
        command_began(report);
    } else {
        command_ended(report);
    }
}

bool Shell::is_current(const ShellReport& report) const {
    return turns_.is_busy() && parse_number(report.number, 0, ~0UL) == turns_.first().number;
}

void Shell::command_began(const ShellReport& report) {
    if (!is_current(report)) return;
    ShellTurns::Turn& turn = turns_.first();
    turn.state = ShellTurns::State::Begun;
    turn.stdin_reader.close();
    turn.stdin_writer.close();
    for (const int number : std::exchange(turn.signals, {}))
        signaler_.send(number);
}

void Shell::command_ended(const ShellReport& report) {
    cwd_ = report.cwd;
    if (state_ == State::Starting) {
        state_ = State::Ready;
        on_ready_(*this);
    } else if (is_current(report)) {
        Evaluation* const evaluation = turns_.first().evaluation;
        turns_.remove_first();
        signaler_.cancel();
        const auto code = parse_number(report.status, 0, 255);
        if (evaluation != nullptr) {
            evaluation->evaluation_ended(static_cast<int>(code.value_or(255)), cwd_);
        }
    } else if (turns_.is_busy() && turns_.first().state == ShellTurns::State::HandedOver &&
               program_.kind != "zsh") {
        hand_over();  // An interrupt came while the shell read this number: it may be lost.
    }
    begin_next();
}

void Shell::close() {
    is_closed_ = true;
    program_.commands.close();
}

void Shell::end(Termination::First first, Time now) {
    if (termination_ || (status_ && is_closed_)) return;
    termination_.emplace(origin_, first, kShellTerminationGrace, now);
    termination_->tick(now);
}

void Shell::exited(const ExitStatus& status) {
    // The last reports may still be in the pipe.
    if (program_.reports.is_open() && report_watch_) on_report();
    if (may_start_again()) {
        try {
            return start_again();
        } catch (const std::exception& error) {
            log::error(std::string("a shell did not start again: ") + error.what());
        }
    }
    status_ = status;
    state_ = State::Ended;
    origin_.reaped = now_in_ticks();
    if (termination_) termination_->reaped(*origin_.reaped);
    signaler_.cancel();
    report_watch_.reset();
    program_.commands.close();
    // The terminal hangs up, so its jobs get HUP, as when a terminal window is closed.
    program_.terminal.reset();
    for (const ShellTurns::Turn& turn : turns_.clear()) {
        if (turn.evaluation == nullptr) continue;
        if (turn.state == ShellTurns::State::Begun) {
            turn.evaluation->shell_died(status);
        } else {
            turn.evaluation->evaluation_never_began();
        }
    }
}

void Shell::tick(Time now) {
    if (now >= start_.deadline && may_start_again() &&
        waits_for_keys(*program_.terminal, program_.pid, start_word(program_.kind))) {
        start_.deadline = now + kNextLook;  // The user may need time for the answer.
    } else if (now >= start_.deadline) {
        start_.deadline = EventLoop::kNever;
        if (may_start_again()) ::kill(program_.pid, SIGKILL);  // exited() does the rest.
    }
    signaler_.tick(now);
    if (termination_) termination_->tick(now);
}

EventLoop::Time Shell::next_deadline() const {
    const Time start = may_start_again() ? start_.deadline : EventLoop::kNever;
    return std::min({signaler_.next_deadline(), start,
                     termination_ ? termination_->next_deadline() : EventLoop::kNever});
}

bool Shell::is_over() const {
    return status_ && (!termination_ || termination_->is_done());
}

}  // namespace frsh
