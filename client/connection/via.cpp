#include "client/connection/via.hpp"

#include "common/base/error.hpp"
#include "common/sys/startup.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <pwd.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

constexpr int kHopReportFd = 3;

// `what` names the program in an error message.
Via start_child(SpawnRequest request, std::string mark, const std::string& what) {
    auto [ours, theirs] = make_socketpair();
    set_blocking(theirs.get());  // Most programs cannot handle EAGAIN on a standard stream.
    request.stdio = {theirs.get(), theirs.get(), STDERR_FILENO};
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError("start " + what + ": " + std::strerror(failure->error));
    }
    return {std::move(ours), {std::move(std::get<Spawned>(result)), std::move(mark)}};
}

// The child stays in this session, so that it can ask for a passphrase on the terminal.
SpawnRequest request_on_terminal(std::vector<std::string> programs, std::vector<std::string> argv) {
    SpawnRequest request;
    request.programs = std::move(programs);
    request.argv = std::move(argv);
    for (char** entry = environ; *entry != nullptr; ++entry)
        request.env.emplace_back(*entry);
    request.new_session = false;
    request.ignore_interrupts = true;
    return request;
}

std::string time_left(EventLoop::Time deadline) {
    if (deadline == EventLoop::kNever) return "0";
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
    return std::to_string(std::max<std::int64_t>(left.count(), 1)) + "ms";
}

}  // namespace

Via start_via(const std::string& command) {
    // exec: sh does not stay as a process between, and signals reach the command itself.
    SpawnRequest request = request_on_terminal({"/bin/sh"}, {"sh", "-c", "exec " + command});
    std::string mark = new_child_mark();
    set_child_mark(request.env, mark);
    return start_child(std::move(request), std::move(mark), command);
}

Via start_jump(const JumpCommand& jump, EventLoop::Time deadline) {
    SpawnRequest request = request_on_terminal(jump.programs, jump.argv);
    std::erase_if(request.env, [](const std::string& entry) {
        return entry.starts_with(std::string(kHopDepth) + "=");
    });
    request.env.push_back(std::string(kHopDepth) + "=" + jump.depth);
    std::string mark = new_child_mark();
    set_child_mark(request.env, mark);
    const std::string what = jump.argv.front() + " for the jump host " + jump.name;
    if (jump.kind == JumpCommand::Kind::Ssh)
        return start_child(std::move(request), std::move(mark), what);
    Pipe reports = make_pipe();
    request.ignore_interrupts = false;
    request.extra = {{reports.write_end.get(), kHopReportFd}};
    request.argv.insert(request.argv.begin() + 1, {"--hop-report", std::to_string(kHopReportFd),
                                                   "--connect-timeout", time_left(deadline)});
    Via via = start_child(std::move(request), std::move(mark), what);
    via.reports = std::move(reports.read_end);
    return via;
}

Via start_local_server() {
    SpawnRequest request;
    request.argv = {"frshd", "--stdio"};
    request.programs = {program_folder() + "/frshd"};
    const char* const path = std::getenv("PATH");
    for (std::string& one : search_path("frshd", path != nullptr ? path : "/usr/bin:/bin")) {
        request.programs.push_back(std::move(one));
    }
    // A server that listens on a socket does not have the client's environment. A command must find
    // the same variables here, so only what the server itself needs is passed on.
    // HOME counts there only for a user without an entry in the database.
    std::vector<const char*> passed{"PATH", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR", "TZ"};
    if (::getpwuid(::geteuid()) == nullptr) passed.push_back("HOME");
    for (const char* const name : passed) {
        if (const char* const value = std::getenv(name)) {
            request.env.push_back(std::string(name) + "=" + value);
        }
    }
    // Without the mark, which its commands would inherit. A server ends them itself.
    return start_child(std::move(request), new_child_mark(), "frshd");
}

}  // namespace frsh
