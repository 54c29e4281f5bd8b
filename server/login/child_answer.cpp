#include "server/login/child_answer.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <csignal>
#include <cstddef>
#include <exception>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxAnswer = std::size_t{256} * 1024;

}  // namespace

std::string answer_in_child(const std::function<std::string()>& answer,
                            std::chrono::milliseconds timeout) {
    Pipe pipe = make_pipe();
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        int status = 1;
        try {
            write_all(pipe.write_end.get(), answer());
            status = 0;
        } catch (const std::exception& error) {
            log::error(error.what());
        }
        ::_exit(status);
    }
    pipe.write_end.close();
    const auto deadline = EventLoop::Clock::now() + timeout;
    std::string text;
    bool is_whole = false;
    while (!is_whole && text.size() <= kMaxAnswer) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
        pollfd polled{pipe.read_end.get(), POLLIN, 0};
        if (left.count() <= 0) break;
        if (::poll(&polled, 1, static_cast<int>(left.count())) != 1) continue;
        char buffer[4096];
        const IoResult got = read_some(pipe.read_end.get(), buffer, sizeof buffer);
        is_whole = got.status == IoResult::Status::EndOfFile;
        text.append(buffer, got.bytes);
    }
    ::kill(pid, SIGKILL);  // The pid is not reaped yet, so it cannot belong to another process.
    const ExitStatus status = wait_for(pid);
    const bool is_good = is_whole && !status.signaled && status.code == 0;
    return is_good ? text : "";
}

}  // namespace frsh
