#include "server/login/tool.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <csignal>
#include <cstring>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxToolOutput = std::size_t{256} * 1024;

Fd nameless_file(std::string_view content) {
    Fd file(check(::memfd_create("frshd", MFD_CLOEXEC), "memfd_create"));
    write_all(file.get(), content);
    check(::lseek(file.get(), 0, SEEK_SET), "lseek");
    return file;
}

// Appends what one read returns. Returns false at the end.
bool read_more(Fd& from, std::string& text) {
    char buffer[16 * 1024];
    const IoResult got = read_some(from.get(), buffer, sizeof buffer);
    if (text.size() < kMaxToolOutput) text.append(buffer, got.bytes);
    if (got.status == IoResult::Status::EndOfFile) from.close();
    return from.is_open();
}

// Reads both streams to their ends. Returns false at the deadline.
bool read_both(Fd& output, Fd& errors, ToolResult& result, std::string& error_text,
               EventLoop::Time deadline) {
    while (output.is_open() || errors.is_open()) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
        if (left.count() <= 0) return false;
        pollfd polled[2] = {{output.is_open() ? output.get() : -1, POLLIN, 0},
                            {errors.is_open() ? errors.get() : -1, POLLIN, 0}};
        if (::poll(polled, 2, static_cast<int>(left.count())) < 1) continue;
        if (polled[0].revents != 0) (void)read_more(output, result.output);
        if (polled[1].revents != 0) (void)read_more(errors, error_text);
    }
    return true;
}

std::string last_line_of(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return escape_controls(text.substr(text.rfind('\n') + 1).substr(0, 300));
}

}  // namespace

ToolResult run_tool(const std::vector<std::string>& argv, std::string_view input,
                    std::chrono::milliseconds timeout) {
    Pipe output = make_pipe();
    Pipe errors = make_pipe();
    SpawnRequest request;
    request.programs = {argv[0]};
    request.argv = argv;
    request.stdio = {-1, output.write_end.get(), errors.write_end.get()};
    Fd file;
    if (!input.empty()) {
        file = nameless_file(input);
        request.extra = {{file.get(), 3}};
    }
    auto spawned = spawn(request);
    ToolResult result;
    if (const auto* const failure = std::get_if<SpawnFailure>(&spawned)) {
        result.last_line = std::strerror(failure->error);
        return result;
    }
    output.write_end.close();
    errors.write_end.close();
    const pid_t pid = std::get<Spawned>(spawned).pid;
    std::string error_text;
    const bool is_over = read_both(output.read_end, errors.read_end, result, error_text,
                                   EventLoop::Clock::now() + timeout);
    if (!is_over) ::kill(pid, SIGKILL);  // Not reaped yet, so the pid is still its own.
    const ExitStatus status = wait_for(pid);
    result.status = !is_over          ? ToolResult::kTimedOut
                    : status.signaled ? 128 + status.signal
                                      : status.code;
    result.last_line = last_line_of(std::move(error_text));
    return result;
}

}  // namespace frsh
