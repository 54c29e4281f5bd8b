#include "client/forward/agent_question.hpp"

#include "common/base/error.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/process.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

using namespace std::chrono_literals;

// Longer than a user needs to read and type. ssh's own login waits two minutes.
constexpr auto kQuestionTime = 60s;
constexpr std::size_t kMaxLine = 64;  // Bytes of an answer that count.
constexpr char kInterruptKey = 3;     // Ctrl-C

// Returns whether this process may read the terminal: one in the background would be stopped.
bool is_in_foreground(int terminal) {
    return ::tcgetpgrp(terminal) == ::getpgrp();
}

// Lines with echo and editing, whatever a remote program has set. Ctrl-C and Ctrl-Z are no signals:
// the first ends the line.
termios modes_for_question(termios modes) {
    modes.c_iflag |= ICRNL;
    modes.c_iflag &= ~static_cast<tcflag_t>(IGNCR | INLCR);
    modes.c_oflag |= OPOST | ONLCR;
    modes.c_lflag |= ICANON | ECHO | ECHOE | ECHOK;
    modes.c_lflag &= ~static_cast<tcflag_t>(ISIG);
    modes.c_cc[VEOL] = kInterruptKey;
    return modes;
}

}  // namespace

AgentQuestion::AgentQuestion(EventLoop& loop, const std::string& lines, const std::string& question,
                             OnAnswer on_answer)
    : loop_(loop),
      on_answer_(std::move(on_answer)),
      timer_(loop, "agent: the time for an answer", [this] { finish(Answer::No); }) {
    const bool has_begun =
        begin_on_terminal(lines, question) || begin_with_program(lines + question);
    timer_.expire_after(has_begun ? std::chrono::nanoseconds(kQuestionTime) : 0ns);
    if (!has_begun) {
        std::exchange(on_answer_, nullptr)(Answer::Unasked);
    }
}

AgentQuestion::~AgentQuestion() {
    watch_.reset();
    restore_terminal();
    if (pid_ == 0) return;
    ::kill(-pid_, SIGKILL);
    (void)wait_for(pid_);
}

bool AgentQuestion::begin_on_terminal(const std::string& lines, const std::string& question) {
    terminal_ = Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    const bool is_usable = terminal_.is_open() && is_in_foreground(terminal_.get()) &&
                           ::tcgetattr(terminal_.get(), &before_) == 0;
    if (!is_usable) {
        terminal_.close();
        return false;
    }
    const termios modes = modes_for_question(before_);
    // Drops what was typed before: it was not meant for this question.
    (void)::tcsetattr(terminal_.get(), TCSAFLUSH, &modes);
    try {
        write_all(terminal_.get(), "\n" + lines + question + " (yes/no) ");
    } catch (const SysError&) {
        restore_terminal();
        return false;
    }
    watch_ = loop_.watch(
        "agent: the user's answer", terminal_.get(), [] { return short{POLLIN}; },
        [this](short) { on_line(); });
    return true;
}

void AgentQuestion::on_line() {
    char buffer[256];
    IoResult result{IoResult::Status::EndOfFile};
    try {
        result = read_some(terminal_.get(), buffer, sizeof buffer);
    } catch (const SysError&) {
        // The terminal has gone.
    }
    if (result.status == IoResult::Status::WouldBlock) return;
    if (result.status == IoResult::Status::EndOfFile) return finish(Answer::No);
    line_.append(buffer, std::min(result.bytes, kMaxLine));
    const std::size_t end = line_.find_first_of("\n\3");
    if (end == std::string::npos) return;
    const std::string word = to_lower(line_.substr(0, end));
    const bool is_yes = line_[end] == '\n' && (word == "yes" || word == "y");
    finish(is_yes ? Answer::Yes : Answer::No);
}

bool AgentQuestion::begin_with_program(const std::string& text) {
    const char* const program = std::getenv("SSH_ASKPASS");
    if (program == nullptr || *program == '\0') return false;
    SpawnRequest request;
    request.programs = {program};
    request.argv = {program, text};
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (!std::string_view(*entry).starts_with("SSH_ASKPASS_PROMPT=")) {
            request.env.emplace_back(*entry);
        }
    }
    request.env.emplace_back("SSH_ASKPASS_PROMPT=confirm");
    auto started = spawn(request);
    auto* const spawned = std::get_if<Spawned>(&started);
    if (spawned == nullptr) return false;
    pid_ = spawned->pid;
    program_ = std::move(spawned->pidfd);
    watch_ = loop_.watch(
        "agent: the end of SSH_ASKPASS", program_.get(), [] { return short{POLLIN}; },
        [this](short) { on_program_ended(); });
    return true;
}

void AgentQuestion::on_program_ended() {
    const ExitStatus status = wait_for(std::exchange(pid_, 0));
    finish(!status.signaled && status.code == 0 ? Answer::Yes : Answer::No);
}

void AgentQuestion::restore_terminal() {
    if (!terminal_.is_open()) return;
    // What follows begins below the question.
    if (line_.find('\n') == std::string::npos) (void)write_some(terminal_.get(), "\r\n");
    (void)::tcsetattr(terminal_.get(), TCSAFLUSH, &before_);
    terminal_.close();
}

void AgentQuestion::finish(Answer answer) {
    watch_.reset();
    timer_.stop();
    restore_terminal();
    if (on_answer_) std::exchange(on_answer_, nullptr)(answer);
}

}  // namespace frsh
