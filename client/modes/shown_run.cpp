#include "client/modes/shown_run.hpp"

#include "client/run/typed_ahead.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

// How long a command may run before it gets what was typed ahead. The far terminal then shows it.
constexpr std::chrono::milliseconds kHoldTime{200};

}  // namespace

ShownRun::ShownRun(EventLoop& loop, Screen& screen, std::optional<char> escape)
    : loop_(loop), screen_(screen), escape_(escape), terminal_(STDIN_FILENO) {
    watch_ = loop.watch(
        "terminal: input for the command", terminal_.fd(),
        [this]() -> short {
            const bool wanted = run_ != nullptr && input_ == Input::Lines;
            return wanted && run_->stdin_room() > 0 ? POLLIN : short{0};
        },
        [this](short) { on_lines(); });
}

void ShownRun::show(RemoteRun& run, Input input) {
    run_ = &run;
    input_ = input;
    interrupts_ = {};
}

void ShownRun::show_on_terminal(RemoteRun& run, std::string_view first_keys) {
    show(run, Input::Keys);
    keys_.emplace(loop_, STDIN_FILENO, run, escape_);
    keys_->begin(first_keys);
    hold_until_ = EventLoop::Clock::now() + kHoldTime;
}

void ShownRun::show_from_start(RemoteRun& run) {
    show(run, Input::Keys);
    keys_.emplace(loop_, STDIN_FILENO, run, escape_);
}

std::string ShownRun::typed_ahead() {
    // The escape gives up what was typed for the command, too.
    if (!keys_ || !run_->end() || was_interrupted()) return "";
    if (keys_->holds_keys()) return keys_->take_held();
    return frsh::typed_ahead(*run_->end(), keys_->sent());
}

EventLoop::Time ShownRun::next_deadline() const {
    return keys_ && keys_->holds_keys() ? hold_until_ : EventLoop::kNever;
}

void ShownRun::hide() {
    keys_.reset();
    run_ = nullptr;
    input_ = Input::None;
}

void ShownRun::interrupt() {
    screen_.note_typed(false);  // The terminal has shown ^C.
    run_->interrupt(interrupts_.on_signal(SIGINT, EventLoop::Clock::now()));
}

void ShownRun::quit() {
    run_->signal("QUIT");
}

void ShownRun::on_terminal_signal(int number) {
    if (keys_) return keys_->on_signal(number);
    // The prompt ignores SIGTSTP. SIGSTOP cannot be ignored.
    if (number == SIGTSTP) stop_here(Stopped::Us);
}

bool ShownRun::check_keys() {
    using Wish = TerminalSession::Wish;
    if (!keys_) return false;
    if (EventLoop::Clock::now() >= hold_until_) keys_->flush_held();
    if (keys_->wish() == Wish::HungUp) return true;
    if (keys_->wish() == Wish::Stay || interrupts_.has_begun()) return false;
    (void)interrupts_.on_signal(SIGINT, EventLoop::Clock::now());
    run_->signal("HUP");  // An interactive shell ignores TERM and ends on HUP.
    run_->cancel();
    return false;
}

void ShownRun::on_lines() {
    char buffer[4096];
    const std::size_t size = std::min(sizeof buffer, run_->stdin_room());
    const IoResult result = terminal_.read(buffer, size);
    if (result.status == IoResult::Status::EndOfFile) {
        input_ = Input::None;
        run_->finish_stdin();
    } else if (result.status == IoResult::Status::Done) {
        run_->append_stdin({buffer, result.bytes});
        screen_.note_typed(buffer[result.bytes - 1] == '\n');
    }
}

}  // namespace frsh
