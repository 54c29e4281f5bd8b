#include "server/run/shell_turns.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

Fd open_pipe(const std::string& path, int flags) {
    return Fd(check(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC), "open " + path));
}

}  // namespace

std::string ShellTurns::path(unsigned long number, const char* what) const {
    return folder_.path() + "/" + std::to_string(number) + "." + what;
}

void ShellTurns::remove_files(unsigned long number) {
    for (const char* const what : {"in", "out", "err", "command"}) {
        ::unlink(path(number, what).c_str());
    }
}

CommandStreams ShellTurns::add(Evaluation& evaluation, const std::string& command,
                               bool stdin_null) {
    Turn turn{next_number_++, &evaluation, {}, {}, State::Waiting, {}};
    try {
        CommandStreams streams = make_files(turn, command, stdin_null);
        turns_.push_back(std::move(turn));
        return streams;
    } catch (const SysError&) {
        remove_files(turn.number);
        throw;
    }
}

void ShellTurns::add_on_terminal(Evaluation& evaluation, const std::string& command) {
    Turn turn{next_number_++, &evaluation, {}, {}, State::Waiting, {}};
    try {
        folder_.write_file(std::to_string(turn.number) + ".command", command);
    } catch (const SysError&) {
        remove_files(turn.number);
        throw;
    }
    turns_.push_back(std::move(turn));
}

CommandStreams ShellTurns::make_files(Turn& turn, const std::string& command, bool stdin_null) {
    for (const char* const what : {"out", "err"}) {
        check(::mkfifo(path(turn.number, what).c_str(), 0600), "mkfifo");
    }
    folder_.write_file(std::to_string(turn.number) + ".command", command);
    CommandStreams streams;
    // open(2) of a named pipe blocks until the other end is open. With O_NONBLOCK it does not, but
    // then a writer needs a reader (fifo(7)). So the server holds both ends until the shell has
    // opened the pipe, also if all of stdin has been written and closed before that.
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

ShellTurns::Turn* ShellTurns::find(const Evaluation& evaluation) {
    const auto turn = std::find_if(turns_.begin(), turns_.end(),
                                   [&](const Turn& one) { return one.evaluation == &evaluation; });
    return turn == turns_.end() ? nullptr : &*turn;
}

bool ShellTurns::withdraw(const Evaluation& evaluation) {
    const auto turn = std::find_if(turns_.begin(), turns_.end(),
                                   [&](const Turn& one) { return one.evaluation == &evaluation; });
    if (turn == turns_.end() || turn->state != State::Waiting) return false;
    remove_files(turn->number);
    turns_.erase(turn);
    return true;
}

void ShellTurns::remove_first() {
    remove_files(turns_.front().number);
    turns_.pop_front();
}

std::deque<ShellTurns::Turn> ShellTurns::clear() {
    for (const Turn& turn : turns_)
        remove_files(turn.number);
    return std::exchange(turns_, {});
}

}  // namespace frsh
