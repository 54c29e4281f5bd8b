#include "server/run/shell_program.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/process.hpp"
#include "server/run/shell_loop.hpp"
#include "server/run/start_folder.hpp"

#include <utility>
#include <variant>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

// The numbers that the private descriptors have in the shell, as in shell_loop.bash and
// shell_loop.sh.
struct PrivateNumbers {
    int reports;
    int commands;
};
constexpr PrivateNumbers kBashNumbers{60, 61};
constexpr PrivateNumbers kShNumbers{8, 9};

std::string find_bash() {
    for (const char* const path : {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}) {
        if (::access(path, X_OK) == 0) return path;
    }
    return "";
}

// Reads and drops what commands print on the terminal itself.
EventLoop::Watch drop_output(EventLoop& loop, int master) {
    return loop.watch(
        "shell: bytes on its private terminal", master, [] { return short{POLLIN}; },
        [master](short) {
            char ignored[4096];
            (void)read_some(master, ignored, sizeof ignored);
        });
}

}  // namespace

ShellProgram start_shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
                         PrivateFolder& folder, const std::string& mark) {
    if (const auto why = find_shell_refusal(open, context)) throw UserError(*why);
    const std::string bash = find_bash();
    ShellProgram program;
    program.kind = bash.empty() ? "sh" : "bash";
    const std::string start_file = folder.path() + "/start";
    const std::string dir = "__frsh_dir=" + shell_quote(folder.path()) + "\n";
    SpawnRequest request;
    request.env = run_environment(context, open.env, {}, mark);
    set_folder(request, open.cwd, context.user);
    if (bash.empty()) {
        folder.write_file("start", dir + std::string(kShLoop));
        request.programs = {"/bin/sh"};
        request.argv = {"sh", start_file};
    } else {
        folder.write_file("start",
                          "[ -r ~/.bashrc ] && . ~/.bashrc\n" + dir + std::string(kBashLoop));
        request.programs = {bash};
        request.argv = {"bash", "--noediting", "--rcfile", start_file, "-i"};
        program.terminal = open_pty();
        request.controlling_terminal = program.terminal.slave.get();
    }
    Pipe reports = make_pipe();
    Pipe commands = make_pipe();
    const PrivateNumbers numbers = bash.empty() ? kShNumbers : kBashNumbers;
    request.extra = {{reports.write_end.get(), numbers.reports},
                     {commands.read_end.get(), numbers.commands}};
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError(not_started(*failure, request).message);
    }
    program.pid = std::get<Spawned>(result).pid;
    program.commands = std::move(commands.write_end);
    program.reports = std::move(reports.read_end);
    set_nonblocking(program.reports.get());
    if (program.terminal.master.is_open()) {
        program.terminal_watch = drop_output(loop, program.terminal.master.get());
    }
    return program;
}

}  // namespace frsh
