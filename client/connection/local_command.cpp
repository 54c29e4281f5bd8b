#include "client/connection/local_command.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>
#include <variant>

#include <poll.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

Spawned start(const std::string& command) {
    const char* const shell = std::getenv("SHELL");
    SpawnRequest request;
    request.programs = {shell != nullptr && shell[0] == '/' ? shell : "/bin/sh"};
    request.argv = {request.programs[0], "-c", command};
    for (char** entry = environ; *entry != nullptr; ++entry)
        request.env.emplace_back(*entry);
    request.stdio = {-1, STDOUT_FILENO, STDERR_FILENO};
    request.new_session = false;
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError("LocalCommand: " + request.programs[0] + ": " +
                        std::strerror(failure->error));
    }
    return std::move(std::get<Spawned>(result));
}

}  // namespace

LocalCommand::LocalCommand(EventLoop& loop, const std::string& command,
                           std::function<void()> on_end)
    : on_end_(std::move(on_end)),
      process_(start(command)),
      watch_(loop.watch(
          "the local command has ended", process_.pidfd.get(), [] { return short{POLLIN}; },
          [this](short) { finish(); })) {}

void LocalCommand::finish() {
    watch_.reset();
    const auto status = reap(process_.pid);
    if (status && (status->signaled || status->code != 0)) {
        log::info("LocalCommand failed: exit code " + std::to_string(status->code));
    }
    on_end_();
}

}  // namespace frsh
