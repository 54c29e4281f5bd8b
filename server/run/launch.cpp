#include "server/run/launch.hpp"

#include "common/base/environment.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/signals.hpp"
#include "server/run/account_shell.hpp"
#include "server/run/start_folder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

// One argument has at most 32 pages with its NUL, whatever the limit of the total is (execve(2)).
constexpr std::size_t kMaxArgument = 131071;

constexpr std::string_view kUserPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
constexpr std::string_view kRootPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view name_of_entry(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

void set(std::vector<std::string>& env, std::string_view entry) {
    const std::string_view name = name_of_entry(entry);
    const auto same = std::find_if(
        env.begin(), env.end(), [&](const std::string& one) { return name_of_entry(one) == name; });
    if (same == env.end()) {
        env.emplace_back(entry);
    } else {
        *same = entry;
    }
}

bool is_inheritable(std::string_view name) {
    constexpr std::array<std::string_view, 6> kCode = {"BASH_ENV",  "ENV", "PROMPT_COMMAND",
                                                       "SHELLOPTS", "IFS", "BASHOPTS"};
    if (name.starts_with("LD_") || name.starts_with("FRSH_") || name.starts_with("BASH_FUNC_")) {
        return false;
    }
    return std::find(kCode.begin(), kCode.end(), name) == kCode.end();
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

// Returns true for shells that take a script as their first argument and know `exec 3<&-`.
bool reads_scripts(std::string_view shell) {
    constexpr std::array<std::string_view, 10> kKnown = {
        "sh", "bash", "dash", "ash", "ksh", "mksh", "ksh93", "zsh", "busybox", "yash"};
    return std::find(kKnown.begin(), kKnown.end(), base_name(shell)) != kKnown.end();
}

// Returns the command in a file without a name (memfd_create(2)). The shell reads /dev/fd/3, which
// it opens again under a high number. The script's first words close descriptor 3. So stdin stays
// free, and no process of the command inherits a descriptor.
Fd script_of(const std::string& command) {
    Fd script(check(::memfd_create("frsh-script", MFD_CLOEXEC), "memfd_create"));
    write_all(script.get(), "exec 3<&-; ");
    write_all(script.get(), command);
    check(::lseek(script.get(), 0, SEEK_SET), "lseek");
    return script;
}

std::string value_of(const std::vector<std::string>& env, std::string_view name) {
    for (const std::string& entry : env) {
        if (name_of_entry(entry) == name) return entry.substr(name.size() + 1);
    }
    return "";
}

// Returns whether a forwarded variable is allowed. Dangerous ones never are, whatever the patterns
// match.
bool is_accepted(const LaunchContext& context, std::string_view name) {
    if (is_restricted(context) ? is_restricted_variable(name) : is_dangerous_variable(name)) {
        return false;
    }
    if (!context.accept_env) return is_forwardable(name);
    return std::any_of(context.accept_env->begin(), context.accept_env->end(),
                       [&](const std::string& pattern) { return matches_pattern(name, pattern); });
}

}  // namespace

std::vector<std::string> base_environment(const User& user, BaseEnvironment kind) {
    std::vector<std::string> env;
    if (kind == BaseEnvironment::Inherited) {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            if (is_inheritable(name_of_entry(*entry))) env.emplace_back(*entry);
        }
    }
    set(env, "HOME=" + user.home);
    set(env, "USER=" + user.name);
    set(env, "LOGNAME=" + user.name);
    set(env, "SHELL=" + user.shell);
    if (value_of(env, "PATH").empty()) {
        set(env, "PATH=" + std::string(user.uid == 0 ? kRootPath : kUserPath));
    }
    return env;
}

bool is_restricted(const LaunchContext& context) {
    return context.forced_command || !is_plain_shell(context.user.shell, context.plain_shells);
}

std::optional<std::string> find_subsystem(const std::string& name, const LaunchContext& context) {
    if (name != "sftp") return std::nullopt;
    if (!context.sftp_server.empty()) return context.sftp_server;
    for (const char* const path :
         {"/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server",
          "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"}) {
        if (::access(path, X_OK) == 0) return path;
    }
    return std::nullopt;
}

msg::Open force_command(msg::Open open, const LaunchContext& context) {
    std::string asked;
    if (open.mode == msg::Open::Mode::Subsystem) {
        // sshd, too, reports the command that the subsystem would have run.
        open.args = {find_subsystem(open.args[0], context).value_or(open.args[0])};
    }
    for (const std::string& arg : open.args) {
        if (!asked.empty()) asked += ' ';
        asked += open.mode == msg::Open::Mode::Argv ? shell_quote(arg) : arg;
    }
    open.forwarded.insert(open.forwarded.end(), open.env.begin(), open.env.end());
    open.env.clear();
    if (!asked.empty()) {
        open.env = {"FRSH_ORIGINAL_COMMAND=" + asked, "SSH_ORIGINAL_COMMAND=" + asked};
    }
    open.mode = msg::Open::Mode::Command;
    open.args = {*context.forced_command};
    open.cwd.reset();
    return open;
}

std::string new_session_mark() {
    std::uint64_t random = 0;
    check(::getrandom(&random, sizeof random, 0), "getrandom");
    return "FRSH_SESSION=" + std::to_string(::getpid()) + "-" + std::to_string(random);
}

std::string run_mark(const std::string& run) {
    return "FRSH_RUN=" + run;
}

std::vector<std::string> run_environment(const LaunchContext& context,
                                         const std::vector<std::string>& env,
                                         const std::vector<std::string>& forwarded,
                                         const std::string& mark) {
    std::vector<std::string> all = context.env;
    for (const std::string& entry : forwarded) {
        if (is_accepted(context, name_of_entry(entry))) set(all, entry);
    }
    for (const std::string& entry : env)
        set(all, entry);
    // The marks come first, so that a look at the beginning of an environment finds them.
    std::erase_if(all, [](const std::string& entry) {
        return entry.starts_with("FRSH_RUN=") || entry.starts_with("FRSH_SESSION=");
    });
    all.insert(all.begin(), {mark, context.session_mark});
    return all;
}

std::optional<std::string> find_shell_refusal(const msg::ShellOpen& open,
                                              const LaunchContext& context) {
    if (!is_plain_shell(context.user.shell, context.plain_shells)) {
        return context.user.shell +
               ": this account's shell is not a plain one (plain_shells), so it has no stateful "
               "shells and no prompt; run single commands";
    }
    return find_dangerous_variable(open.env);
}

namespace {

// Returns the variables of a run: those of its terminal, then the client's as far as they count.
std::vector<std::string> plan_environment(const msg::Open& open, const LaunchContext& context,
                                          const std::string& terminal) {
    std::vector<std::string> env;
    if (open.pty) {
        if (!open.pty->term.empty()) env.push_back("TERM=" + open.pty->term);
        env.push_back("SSH_TTY=" + terminal);  // Scripts and prompts read this.
    }
    std::vector<std::string> forwarded = open.forwarded;
    // With a forced command, force_command() has sorted the variables already.
    const bool is_free = context.forced_command || !is_restricted(context);
    std::vector<std::string>& place = is_free ? env : forwarded;
    place.insert(place.end(), open.env.begin(), open.env.end());
    return run_environment(context, env, forwarded, run_mark(open.run));
}

// A bash that is started for one command reads ~/.bashrc if SSH_CLIENT is set and its level is 1
// (bash(1), INVOCATION). sshd sets SSH_CLIENT and no SHLVL, and so for a client without an address.
void make_bash_read_its_file(std::vector<std::string>& env) {
    std::erase_if(env, [](const std::string& entry) { return entry.starts_with("SHLVL="); });
    if (value_of(env, "SSH_CLIENT").empty()) env.push_back("SSH_CLIENT=UNKNOWN 65535 65535");
}

// Returns why a restricted shell runs no such request, or nothing.
std::optional<NotStarted> find_restriction(const msg::Open& open, const LaunchContext& context) {
    if (context.forced_command) return std::nullopt;
    if (const auto why = find_dangerous_variable(open.env)) return NotStarted{"env", EPERM, *why};
    if (open.cwd && is_restricted(context)) {
        return NotStarted{"cwd", EPERM,
                          context.user.shell +
                              ": this account's shell is not a plain one "
                              "(plain_shells), so runs start in its home folder"};
    }
    return std::nullopt;
}

// Sets programs and arguments so that the account's shell runs the command.
std::optional<NotStarted> run_by_shell(Launch& launch, const std::string& shell,
                                       const std::string& command) {
    SpawnRequest& request = launch.request;
    const std::string name(base_name(shell));
    request.programs = {shell};
    request.argv = {name, "-c", command};
    if (command.size() <= kMaxArgument) return std::nullopt;
    if (!reads_scripts(shell)) {
        return NotStarted{"exec", E2BIG,
                          shell + ": a command above 131071 bytes needs a POSIX shell"};
    }
    launch.script = script_of(command);
    request.extra = {{launch.script.get(), 3}};
    request.argv = {name, "/dev/fd/3"};
    return std::nullopt;
}

}  // namespace

std::variant<Launch, NotStarted> plan_launch(const msg::Open& open, const LaunchContext& context,
                                             const std::string& terminal) {
    if (const auto why = find_restriction(open, context)) return *why;
    Launch launch;
    SpawnRequest& request = launch.request;
    request.env = plan_environment(open, context, terminal);
    if (open.bashrc) make_bash_read_its_file(request.env);
    set_folder(request, open.cwd, context.user);
    const std::string& shell = context.user.shell;
    std::string command = open.args.empty() ? "" : open.args[0];

    switch (open.mode) {
        case msg::Open::Mode::Argv:
            if (is_plain_shell(shell, context.plain_shells)) {
                request.argv = open.args;
                request.programs = search_path(open.args[0], value_of(request.env, "PATH"));
                return launch;
            }
            command = quote_program(open.args);
            break;
        case msg::Open::Mode::Login:
            // login(1) marks a login shell by a leading dash in argv[0].
            request.argv = {"-" + std::string(base_name(shell))};
            request.programs = {shell};
            return launch;
        case msg::Open::Mode::Subsystem:
            if (const auto found = find_subsystem(command, context)) {
                command = *found;
                break;
            }
            return NotStarted{
                "subsystem", ENOENT,
                "subsystem request failed: there is no '" + escape_controls(command) + "' here"};
        case msg::Open::Mode::Connect:
        case msg::Open::Mode::Accept:
            return NotStarted{"connect", EINVAL, "a connection runs no program"};
        case msg::Open::Mode::Command:
            break;
    }
    if (const auto why = run_by_shell(launch, shell, command)) return *why;
    return launch;
}

RealEnd real_end(const ExitStatus& status) {
    if (status.signaled) return Signaled{signal_name(status.signal), status.signal, status.core};
    return Exited{status.code};
}

NotStarted not_started(const SpawnFailure& failure, const SpawnRequest& request) {
    const std::string reason = std::strerror(failure.error);
    switch (failure.stage) {
        case SpawnFailure::Stage::Cwd:
            return {"cwd", failure.error, "cwd " + escape_controls(request.cwd) + ": " + reason};
        case SpawnFailure::Stage::Exec: {
            // If there was one candidate, its path; otherwise the name that was searched for.
            const std::string& program =
                request.programs.size() == 1 ? request.programs[0] : request.argv[0];
            return {"exec", failure.error, "exec " + escape_controls(program) + ": " + reason};
        }
        case SpawnFailure::Stage::Fork:
            break;
    }
    return {"fork", failure.error, "fork: " + reason};
}

}  // namespace frsh
