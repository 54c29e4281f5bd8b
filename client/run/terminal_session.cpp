#include "client/run/terminal_session.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/pty.hpp"
#include "common/sys/signals.hpp"
#include "common/sys/terminal_modes.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace frsh {
namespace {

// The fatal signals that are not read from a signalfd(2). This is the only signal handler of frsh.
// It makes two calls that signal-safety(7) lists, then lets the signal take its effect.
constexpr std::array kEnds = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,   SIGABRT, SIGTRAP,
                              SIGSYS,  SIGQUIT, SIGALRM, SIGUSR1,  SIGUSR2, SIGXCPU,
                              SIGXFSZ, SIGPROF, SIGPWR,  SIGVTALRM};
// A signal handler can reach global data only.
volatile std::sig_atomic_t raw_terminal = -1;
termios modes_before;

bool is_ours(int terminal) {
    const pid_t foreground = ::tcgetpgrp(terminal);
    return foreground == -1 || foreground == ::getpgrp();  // -1: not our controlling terminal.
}

void give_back(int number) {
    const int terminal = raw_terminal;
    if (terminal >= 0 && is_ours(terminal)) (void)::tcsetattr(terminal, TCSANOW, &modes_before);
    (void)::raise(number);  // SA_RESETHAND: now the signal is fatal.
}

void give_back_at_any_end() {
    static char stack[64 * 1024];  // The normal stack may be the one that overflowed.
    const stack_t other{stack, 0, sizeof stack};
    (void)::sigaltstack(&other, nullptr);
    struct sigaction action {};
    action.sa_handler = give_back;
    action.sa_flags = SA_RESETHAND | SA_ONSTACK;
    for (const int number : without_ignored({kEnds.begin(), kEnds.end()}))
        (void)::sigaction(number, &action, nullptr);
}

}  // namespace

msg::Pty describe_terminal() {
    msg::Pty pty;
    const char* const term = std::getenv("TERM");
    if (term != nullptr && is_term(term)) pty.term = term;
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        termios modes{};
        if (::tcgetattr(stream, &modes) == -1) continue;
        pty.modes = modes_of(modes);
        pty.size = window_size(stream).value_or(WindowSize{});
        break;
    }
    return pty;
}

RawMode::RawMode(int terminal) : terminal_(terminal) {
    check(::tcgetattr(terminal, &before_), "terminal");
}

RawMode::~RawMode() {
    leave();
}

// TCSANOW: TCSADRAIN would block on a terminal that Ctrl-S has stopped.
void RawMode::enter() {
    if (!is_ours(terminal_)) return;
    modes_before = before_;
    raw_terminal = terminal_;
    give_back_at_any_end();
    termios raw = before_;
    ::cfmakeraw(&raw);
    check(::tcsetattr(terminal_, TCSANOW, &raw), "terminal");
    is_on_ = true;
    log::set_line_end(log::LineEnd::Raw);
}

void RawMode::leave() {
    if (!is_on_) return;
    is_on_ = false;
    if (is_ours(terminal_)) (void)::tcsetattr(terminal_, TCSANOW, &before_);
    raw_terminal = -1;
    log::set_line_end(log::LineEnd::Plain);
}

void stop_here(Stopped who) {
    ::kill(who == Stopped::OurGroup ? 0 : ::getpid(), SIGTSTP);
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // The process stops here.
    ::sigprocmask(SIG_BLOCK, &stop, nullptr);
}

std::vector<int> TerminalSession::signals() {
    return {SIGWINCH, SIGTSTP, SIGCONT};
}

TerminalSession::TerminalSession(EventLoop& loop, int terminal, RemoteRun& run,
                                 std::optional<char> escape)
    : terminal_(terminal), run_(run), escapes_(escape), raw_(terminal), keys_(terminal) {
    watch_ = loop.watch(
        "terminal: keys for the program", keys_.fd(),
        [this]() -> short {
            const bool wanted =
                has_begun_ && !is_paused_ && wish_ == Wish::Stay && !run_.is_finished();
            return wanted && run_.stdin_room() > 0 ? POLLIN : short{0};
        },
        [this](short) { on_readable(); });
    run_.on_start([this] { begin(); });
}

TerminalSession::~TerminalSession() {
    run_.on_start({});
}

void TerminalSession::begin() {
    if (has_begun_) return;
    has_begun_ = true;
    raw_.enter();
    tell_size();  // The size may have changed since the request.
}

void TerminalSession::begin(std::string_view first_keys) {
    begin();
    held_ = first_keys.substr(0, run_.stdin_room());
}

void TerminalSession::flush_held() {
    const std::string keys = take_held();
    if (!keys.empty()) send(keys);
}

void TerminalSession::send(std::string_view keys) {
    run_.append_stdin(keys);
    sent_ += keys;
}

void TerminalSession::tell_size() {
    if (const auto size = window_size(terminal_)) run_.resize(*size);
}

void TerminalSession::on_readable() {
    char buffer[16 * 1024];
    flush_held();
    const std::size_t size = std::min(sizeof buffer, run_.stdin_room());
    if (size == 0) return;
    const IoResult result = keys_.read(buffer, size);
    if (result.status == IoResult::Status::WouldBlock) return;
    if (result.status == IoResult::Status::EndOfFile) {
        wish_ = Wish::HungUp;
        return;
    }
    std::string_view typed(buffer, result.bytes);
    while (!typed.empty() && wish_ == Wish::Stay) {
        std::string keys;
        const EscapeKeys::Action action = escapes_.take(typed, keys);
        send(keys);
        act_on(action);
    }
}

void TerminalSession::act_on(EscapeKeys::Action action) {
    switch (action) {
        case EscapeKeys::Action::None:
            return;
        case EscapeKeys::Action::Leave:
            wish_ = Wish::Leave;
            return;
        case EscapeKeys::Action::Suspend:
            return suspend(Stopped::OurGroup);
        case EscapeKeys::Action::Help:
            (void)write_some(STDERR_FILENO, escapes_.help());
            return;
    }
}

void TerminalSession::suspend(Stopped who) {
    raw_.leave();
    stop_here(who);
    if (!has_begun_) return;
    raw_.enter();
    tell_size();
}

void TerminalSession::on_signal(int number) {
    if (number == SIGTSTP) suspend(Stopped::Us);
    if (!has_begun_) return;
    if (number == SIGWINCH) tell_size();
    if (number == SIGCONT) {
        // After SIGSTOP, which cannot be caught, the local shell has set its own modes.
        raw_.enter();
        tell_size();
    }
}

}  // namespace frsh
