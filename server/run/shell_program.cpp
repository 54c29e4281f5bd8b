#include "server/run/shell_program.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/process.hpp"
#include "server/run/shell_loop.hpp"
#include "server/run/start_folder.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

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
constexpr int kBashTerminal = 62;  // A shell on the client's terminal only.

// A shell for single commands reads ~/.bashrc. A shell at a prompt reads what a login shell reads,
// then ~/.bashrc, unless the files before it read that.
constexpr std::string_view kPlainStartUp = "[ -r ~/.bashrc ] && . ~/.bashrc\n";
constexpr std::string_view kLoginStartUp =
    "[ -r /etc/profile ] && . /etc/profile\n"
    "__frsh_c=\n"
    "for __frsh_l in ~/.bash_profile ~/.bash_login ~/.profile; do\n"
    "    if [ -r \"$__frsh_l\" ]; then __frsh_c=$(<\"$__frsh_l\"); . \"$__frsh_l\"; break; fi\n"
    "done\n"
    "case $__frsh_c in *bashrc*) ;; *) [ -r ~/.bashrc ] && . ~/.bashrc ;; esac\n";

std::string find_bash() {
    for (const char* const path : {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}) {
        if (::access(path, X_OK) == 0) return path;
    }
    return "";
}

// Makes the request for bash on a terminal. Its file of start-up commands ends in the loop.
void request_bash(SpawnRequest& request, const std::string& bash, ShellProgram& program,
                  const std::string& start_file) {
    request.programs = {bash};
    request.argv = {"bash", "--noediting", "--rcfile", start_file, "-i"};
    const int slave = program.terminal->slave();
    request.controlling_terminal = slave;
    if (!program.terminal->is_for_commands()) return;
    request.stdio = {slave, slave, slave};
    request.extra.emplace_back(slave, kBashTerminal);
}

// Returns the variables of the client, and those of the terminal on which commands run.
std::vector<std::string> shell_variables(const msg::ShellOpen& open, const ShellProgram& program) {
    if (!open.pty || !program.terminal) return open.env;
    std::vector<std::string> env;
    if (!open.pty->term.empty()) env.push_back("TERM=" + open.pty->term);
    env.push_back("SSH_TTY=" + program.terminal->name());
    env.insert(env.end(), open.env.begin(), open.env.end());
    return env;
}

}  // namespace

ShellProgram start_shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
                         PrivateFolder& folder, const std::string& mark, StartUp start_up) {
    if (const auto why = find_shell_refusal(open, context)) throw UserError(*why);
    const std::string bash = find_bash();
    ShellProgram program;
    program.kind = bash.empty() ? "sh" : "bash";
    const std::string name = start_up == StartUp::Read ? "start" : "start-plain";
    const std::string start_file = folder.path() + "/" + name;
    const std::string dir = "__frsh_dir=" + shell_quote(folder.path()) + "\n";
    SpawnRequest request;
    if (!bash.empty()) {
        const bool may_have = context.may_have_pty;
        program.terminal =
            std::make_unique<ShellTerminal>(loop, may_have ? open.pty : std::nullopt);
    }
    request.env = run_environment(context, shell_variables(open, program), {}, mark);
    set_folder(request, open.cwd, context.user);
    if (bash.empty()) {
        folder.write_file(name, dir + std::string(kShLoop));
        request.programs = {"/bin/sh"};
        request.argv = {"sh", start_file};
    } else {
        const std::string_view files =
            program.terminal->is_for_commands() ? kLoginStartUp : kPlainStartUp;
        const std::string first(start_up == StartUp::Read ? files : "");
        folder.write_file(name, first + dir + std::string(kBashLoop));
        request_bash(request, bash, program, start_file);
    }
    Pipe reports = make_pipe();
    Pipe commands = make_pipe();
    const PrivateNumbers numbers = bash.empty() ? kShNumbers : kBashNumbers;
    request.extra.emplace_back(reports.write_end.get(), numbers.reports);
    request.extra.emplace_back(commands.read_end.get(), numbers.commands);
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError(not_started(*failure, request).message);
    }
    program.pid = std::get<Spawned>(result).pid;
    program.commands = std::move(commands.write_end);
    program.reports = std::move(reports.read_end);
    set_nonblocking(program.reports.get());
    return program;
}

}  // namespace frsh
