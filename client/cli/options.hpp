// The command line of frsh: ssh's short options and keywords (ssh_options.hpp), and long ones of
// its own.
#pragma once

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// What is wanted of runs that were kept, in place of a command.
struct KeptRequest {
    enum class Kind { List, Attach, Logs, Wait, Kill, Forget };
    Kind kind;
    std::string run;  // Or how its id begins; empty for List.
};

// Where to begin with the output of such a run; nothing: at its end.
struct KeptFrom {
    std::optional<Offset> out = Offset{0};
    std::optional<Offset> err = Offset{0};
};
// "end", "OFFSET" of stdout, or both: "OFFSET,end".
[[nodiscard]] std::optional<KeptFrom> parse_from(std::string_view text);

struct ClientOptions {
    std::string target;
    std::vector<std::string> words;  // The command, in the words it was given.
    ConnectionSettings settings;     // Merged from all sources; see configure().
    std::string way;                 // The connection options, quoted for a shell: " -p 2222".
    bool plaintext = false;
    bool trust = false;                // Only take down the host's key,
    std::string expected_fingerprint;  // if it is this one, where one was given.
    Tty tty = Tty::Automatic;
    std::optional<char> escape = '~';  // At the start of a line on a terminal; nothing: no escapes.
    bool argv = false;
    bool stdin_null = false;
    bool json = false;
    bool batch = false;
    bool one_shell = false;
    unsigned jobs = 1;
    std::vector<std::string> env;
    std::optional<std::string> cwd;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<std::chrono::milliseconds> idle_timeout;
    std::optional<std::uint64_t> max_output;
    std::string run_id;  // Empty: a new one.
    bool detach = false;
    std::optional<std::chrono::milliseconds> soft_timeout;
    std::string shell_name;  // The named shell to use; empty: none.
    std::optional<KeptRequest> request;
    std::optional<KeptFrom> from;
    std::string signal;  // A name, for Kill; empty: it is ended.
    int status_fd = -1;
    std::string wire;  // Where every frame is shown; "-" is stderr.
    log::Level log_level = log::Level::Notice;
    std::string log_file;  // Where diagnostics go instead of stderr.

    // ssh's.
    bool print_config = false;  // Only say what was resolved.
    bool subsystem = false;     // The word is one's name.
    bool no_command = false;    // Log in, and stay.
    bool background = false;    // Leave the terminal once logged in.
    std::vector<std::string> send_env;
    std::vector<std::string> set_env;
};

// Nothing where there is nothing left to do (--help, --version); `status` is the exit code then.
// A command line that makes no sense is said on stderr in one line.
std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status);

// What is to happen when the connection is lost: as it was asked for, else what is usual for such a
// target.
[[nodiscard]] OnDisconnect on_disconnect_of(const ClientOptions& options);

[[nodiscard]] bool is_request(const ClientOptions& options, KeptRequest::Kind kind);

// Is a run of these to be found again by its id?
[[nodiscard]] bool is_kept(const ClientOptions& options);

}  // namespace frsh
