#include "server/run/shell_program.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"
#include "server/run/shell_loop.hpp"
#include "server/run/start_folder.hpp"

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
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
// Ctrl-C ends what a file runs and not all files, as the trap for INT is not ignored.
// The file "starting" has the name of the last one that was begun. A file that makes PROMPT_COMMAND
// read-only takes the loop away, so it counts as one that does not end.
constexpr std::string_view kLoginStartUp = R"sh(
builtin trap : INT
__frsh_begin() {
    if [[ ${PROMPT_COMMAND@a} == *r* ]]; then builtin exit 1; fi
    [[ -r $1 && $1 != "$__frsh_skip" ]] && builtin printf "%s" "$1" >"$__frsh_dir/starting"
}
if __frsh_begin /etc/profile; then . /etc/profile; fi
__frsh_c=
for __frsh_l in ~/.bash_profile ~/.bash_login ~/.profile; do
    if [[ -r $__frsh_l ]]; then
        __frsh_c=$(<"$__frsh_l")
        if __frsh_begin "$__frsh_l"; then . "$__frsh_l"; fi
        break
    fi
done
case $__frsh_c in
    *bashrc*) ;;
    *) if __frsh_begin ~/.bashrc; then . ~/.bashrc; fi ;;
esac
{
    if [[ $(builtin trap -p INT) == *"':'"* ]]; then builtin trap - INT; fi
    __frsh_begin ""; builtin unset -f __frsh_begin; builtin unset __frsh_skip
} >/dev/null 2>&1
)sh";

// Returns the commands before the loop, for a shell on the client's terminal.
std::string login_start_up(StartUp start_up, PrivateFolder& folder) {
    if (start_up == StartUp::Read) return std::string(kLoginStartUp);
    const std::string note = "builtin printf 'frsh: %s\\n' ";
    std::ifstream in(folder.path() + "/starting", std::ios::binary);
    const std::string fault{std::istreambuf_iterator<char>(in), {}};
    const std::string name = fault.empty() ? "a start-up file" : fault;
    return note + shell_quote(name + " does not come to its end; this shell is without it") +
           "\n__frsh_skip=" + shell_quote(fault) + "\n" + std::string(kLoginStartUp);
}

constexpr std::string_view kZshNote =
    "print -r -- 'frsh: the start-up files do not come to their end; this zsh is without them'\n";

std::string find_bash() {
    for (const char* const path : {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}) {
        if (::access(path, X_OK) == 0) return path;
    }
    return "";
}

// Returns the path of the account's zsh if that is to be the shell at a prompt; else "".
std::string find_zsh(const msg::ShellOpen& open, const LaunchContext& context) {
    const std::string& shell = context.user.shell;
    const bool is_zsh = open.pty && context.may_have_pty && shell.ends_with("/zsh");
    return is_zsh && ::access(shell.c_str(), X_OK) == 0 ? shell : "";
}

Fd make_named_pipe(const std::string& path) {
    (void)::unlink(path.c_str());
    check(::mkfifo(path.c_str(), 0600), "mkfifo");
    return Fd(check(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open " + path));
}

// Makes the request for zsh, which finds the named pipe "zsh" of the folder by its PATH. So that is
// the name in its messages.
void request_zsh(SpawnRequest& request, const std::string& zsh, ShellProgram& program,
                 const std::string& folder, StartUp start_up) {
    request.programs = {zsh};
    request.argv = {"zsh", "-l", "-i", "-o", "pathscript", "zsh"};
    if (start_up != StartUp::Read) request.argv.insert(request.argv.begin() + 1, "-f");
    const int slave = program.terminal->slave();
    request.controlling_terminal = slave;
    request.stdio = {slave, slave, slave};
    for (std::string& variable : request.env) {
        if (variable.starts_with("PATH=")) variable.insert(5, folder + ":");
    }
    program.commands = make_named_pipe(folder + "/zsh");
    program.reports = make_named_pipe(folder + "/reports");
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

void spawn_program(const SpawnRequest& request, ShellProgram& program) {
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError(not_started(*failure, request).message);
    }
    program.pid = std::get<Spawned>(result).pid;
}

}  // namespace

ShellProgram start_shell(EventLoop& loop, const msg::ShellOpen& open, const LaunchContext& context,
                         PrivateFolder& folder, const std::string& mark, StartUp start_up) {
    if (const auto why = find_shell_refusal(open, context)) throw UserError(*why);
    const std::string zsh = find_zsh(open, context);
    const std::string bash = zsh.empty() ? find_bash() : "";
    ShellProgram program;
    program.kind = !zsh.empty() ? "zsh" : bash.empty() ? "sh" : "bash";
    const std::string name = "start" + std::to_string(static_cast<int>(start_up));
    const std::string start_file = folder.path() + "/" + name;
    const std::string dir = "__frsh_dir=" + shell_quote(folder.path()) + "\n";
    SpawnRequest request;
    if (program.kind != "sh") {
        const bool may_have = context.may_have_pty;
        program.terminal =
            std::make_unique<ShellTerminal>(loop, may_have ? open.pty : std::nullopt);
    }
    request.env = run_environment(context, shell_variables(open, program), {}, mark);
    set_folder(request, open.cwd, context.user);
    if (!zsh.empty()) {
        const std::string note = start_up == StartUp::Read ? "" : std::string(kZshNote);
        folder.write_file(name, dir + note + std::string(kZshHooks));
        request_zsh(request, zsh, program, folder.path(), start_up);
        (void)write_some(program.commands.get(),
                         "{ . " + shell_quote(folder.path() + "/" + name) + " } 2>/dev/null\n");
        spawn_program(request, program);
        return program;
    }
    if (bash.empty()) {
        folder.write_file(name, dir + std::string(kShLoop));
        request.programs = {"/bin/sh"};
        request.argv = {"sh", start_file};
    } else {
        const std::string first = program.terminal->is_for_commands()
                                      ? login_start_up(start_up, folder)
                                      : std::string(kPlainStartUp);
        folder.write_file(name, dir + first + std::string(kBashLoop));
        request_bash(request, bash, program, start_file);
    }
    Pipe reports = make_pipe();
    Pipe commands = make_pipe();
    const PrivateNumbers numbers = bash.empty() ? kShNumbers : kBashNumbers;
    request.extra.emplace_back(reports.write_end.get(), numbers.reports);
    request.extra.emplace_back(commands.read_end.get(), numbers.commands);
    spawn_program(request, program);
    program.commands = std::move(commands.write_end);
    program.reports = std::move(reports.read_end);
    set_nonblocking(program.reports.get());
    return program;
}

}  // namespace frsh
