// Turns a client's request into the arguments of execve(2): shell, arguments, environment, folder.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/oom_kills.hpp"
#include "common/sys/process.hpp"
#include "common/sys/user.hpp"
#include "server/run/forward_rules.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// The settings that all runs of a session share.
struct LaunchContext {
    User user;
    std::vector<std::string> env;                    // "K=V"; those of the run override them.
    std::string session_mark;                        // "FRSH_SESSION=..."
    std::shared_ptr<const OomKills> oom_kills = {};  // May be null.
    // Patterns of variables that a client may forward; if not set, is_forwardable() decides.
    std::optional<std::vector<std::string>> accept_env = {};
    // The only command that the client's key may run; see force_command().
    std::optional<std::string> forced_command = {};
    // The name of the key with its options, if it has a forced_command; see name_of_bound_key().
    std::optional<std::string> bound_key = {};
    // Patterns of shells that restrict nothing; if not set, see is_plain_shell().
    std::optional<std::vector<std::string>> plain_shells = {};
    std::string sftp_server = {};  // A path; if empty, find_subsystem() looks for it.
    bool may_have_pty = true;
    ForwardRules forward_rules = {};
    // After this time, a shell at a prompt is started again without its start-up files.
    std::chrono::milliseconds shell_start_time{5000};
};

// Returns whether clients may not choose freely what runs: the key is bound to a command, or the
// account's shell is not a plain one.
[[nodiscard]] bool is_restricted(const LaunchContext& context);

// Returns a run of the forced command in the home folder. The client's variables count as forwarded
// ones. The requested command is in FRSH_ORIGINAL_COMMAND and SSH_ORIGINAL_COMMAND.
[[nodiscard]] msg::Open force_command(msg::Open open, const LaunchContext& context);

// Returns the shell command of a subsystem, or nothing if this machine does not have it.
[[nodiscard]] std::optional<std::string> find_subsystem(const std::string& name,
                                                        const LaunchContext& context);

// Returns the environment that runs start from. Clean: as after a login. Inherited: that of this
// process, if its parent meant it for the commands, as `docker exec` does. Variables that control
// the dynamic linker or make shells run code are never passed on.
enum class BaseEnvironment { Clean, Inherited };
[[nodiscard]] std::vector<std::string> base_environment(const User& user, BaseEnvironment kind);

// Returns "FRSH_SESSION=" and a value that is unique and cannot be guessed. Throws SysError.
[[nodiscard]] std::string new_session_mark();

// Returns "FRSH_RUN=ID". With the session's mark it identifies the processes of a run, also those
// that left its process tree and session; see started_by().
[[nodiscard]] std::string run_mark(const std::string& run);

// Returns the marks, then the session's environment, the forwarded variables that are allowed, and
// `env`. Of these three, later ones override earlier ones; none overrides a mark.
[[nodiscard]] std::vector<std::string> run_environment(const LaunchContext& context,
                                                       const std::vector<std::string>& env,
                                                       const std::vector<std::string>& forwarded,
                                                       const std::string& mark);

// Returns why the client may not have this stateful shell, or nothing.
[[nodiscard]] std::optional<std::string> find_shell_refusal(const msg::ShellOpen& open,
                                                            const LaunchContext& context);

// A request that lacks only its streams. `script` must live until the program was spawned.
struct Launch {
    SpawnRequest request;
    Fd script;  // Holds a command that is too long for an argument.
};
// Returns the launch, or why there is none. `terminal` is the path of the run's terminal, or "".
// Throws SysError.
[[nodiscard]] std::variant<Launch, NotStarted> plan_launch(const msg::Open& open,
                                                           const LaunchContext& context,
                                                           const std::string& terminal = "");

// Converts an exit status to the form of the record.
[[nodiscard]] RealEnd real_end(const ExitStatus& status);

// Describes the failure for the record: stage, errno and a message.
[[nodiscard]] NotStarted not_started(const SpawnFailure& failure, const SpawnRequest& request);

}  // namespace frsh
