// From what a client asks for to what execve(2) takes: shell, arguments, environment, folder.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/oom_kills.hpp"
#include "common/sys/process.hpp"
#include "common/sys/user.hpp"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// What every run of a session shares.
struct LaunchContext {
    User user;
    std::vector<std::string> env;                    // "K=V"; the run's own come on top.
    std::string session_mark;                        // "FRSH_SESSION=..."
    std::shared_ptr<const OomKills> oom_kills = {};  // May be null.
    // Patterns of what a client may pass on; see is_forwardable() for what that is by itself.
    std::optional<std::vector<std::string>> accept_env = {};
    // Of a key that may run nothing else; see force_command().
    std::optional<std::string> forced_command = {};
    std::string sftp_server = {};  // A path; empty: wherever the system has it.
    bool may_have_pty = true;
};

// Makes of any run one of this command, in the home folder and with no variable of the client's
// choosing; what was asked for is in FRSH_ORIGINAL_COMMAND and SSH_ORIGINAL_COMMAND.
[[nodiscard]] msg::Open force_command(msg::Open open, const LaunchContext& context);

// What the name of a subsystem stands for, as a shell's command; nothing for one that is not here.
[[nodiscard]] std::optional<std::string> find_subsystem(const std::string& name,
                                                        const LaunchContext& context);

// The environment that runs start from. Clean, as after a login; or inherited from us where whoever
// started us meant it for the commands, as `docker exec` does. What steers the dynamic linker or
// makes shells run code is never passed on.
enum class BaseEnvironment { Clean, Inherited };
[[nodiscard]] std::vector<std::string> base_environment(const User& user, BaseEnvironment kind);

// "FRSH_SESSION=...", not to be guessed and never the same twice.
[[nodiscard]] std::string new_session_mark();

// "FRSH_RUN=ID": with the session's, how a process is known as this run's, wherever it went; see
// started_by().
[[nodiscard]] std::string run_mark(const std::string& run);

// The session's environment, what the client forwards as far as that is allowed, what it asks for
// by name, and the marks, the later over the earlier.
[[nodiscard]] std::vector<std::string> run_environment(const LaunchContext& context,
                                                       const std::vector<std::string>& env,
                                                       const std::vector<std::string>& forwarded,
                                                       const std::string& mark);

// A launch that is ready but for its streams. `script` must live until the program was spawned.
struct Launch {
    SpawnRequest request;
    Fd script;  // Holds a command that is too long for an argument.
};
// `terminal` is the name of the run's own, where it has one.
[[nodiscard]] std::variant<Launch, NotStarted> plan_launch(const msg::Open& open,
                                                           const LaunchContext& context,
                                                           const std::string& terminal = "");

// How a process really ended, as the record has it.
[[nodiscard]] RealEnd real_end(const ExitStatus& status);

// The failure in words, with the stage, for the record.
[[nodiscard]] NotStarted not_started(const SpawnFailure& failure, const SpawnRequest& request);

}  // namespace frsh
