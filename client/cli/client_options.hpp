// What was asked of the client: the command line, merged with the configuration by configure().
#pragma once

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_options.hpp"
#include "common/base/log.hpp"
#include "common/proto/message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// A request about kept runs, in place of a command.
struct KeptRequest {
    enum class Kind { List, Attach, Logs, Wait, Kill, Forget };
    Kind kind;
    std::string run;                     // The id, or the beginning of one; empty for List.
    std::vector<std::string> more = {};  // Further ids, for Kill and Forget.
    bool all_ended = false;              // Forget every run that has ended; `run` is empty.
};

// The offsets at which the output of a kept run begins; nothing: at the stream's present end.
struct KeptFrom {
    std::optional<Offset> out = Offset{0};
    std::optional<Offset> err = Offset{0};
};
// Parses "STDOUT" or "STDOUT,STDERR", each an offset or "end"; "end" alone is the end of both.
// Returns nothing for other texts.
[[nodiscard]] std::optional<KeptFrom> parse_from(std::string_view text);

struct ClientOptions {
    std::string target;
    std::vector<std::string> words;  // The words of the command line behind the target.
    ConnectionSettings settings;     // Merged from all sources; see configure().
    std::string way;                 // The connection options, quoted for a shell: " -p 2222".
    bool plaintext = false;
    bool list_links = false;           // --links: only list the shared links.
    bool unshare = false;              // --unshare: only end the sharing of the target's links.
    bool trust = false;                // --trust: only record the host's key.
    std::string expected_fingerprint;  // With --trust: the only key to record; empty: any.
    Tty tty = Tty::Automatic;
    bool suggests = true;              // At the prompt; [prompt] suggest.
    std::optional<char> escape = '~';  // At the start of a line on a terminal; nothing: no escapes.
    bool argv = false;
    bool asks_for_agent = false;   // -A: a server that takes no agent is reported.
    bool asks_for_bashrc = false;  // --bashrc: a server that cannot is a failure.
    bool stdin_null = false;
    bool json = false;
    bool batch = false;
    bool one_shell = false;
    bool detach = false;
    bool link_frames = false;  // --link: stdin and stdout carry the frames of the link.
    unsigned jobs = 1;
    std::vector<std::string> env;
    std::optional<std::string> cwd;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<std::chrono::milliseconds> idle_timeout;
    std::optional<std::uint64_t> max_output;
    std::string run_id;  // Empty: a random id is made.
    std::optional<std::chrono::milliseconds> soft_timeout;
    std::string shell_name;  // The named shell to use; empty: none.
    std::optional<KeptRequest> request;
    std::optional<KeptFrom> from;
    std::string signal;  // For Kill: the signal's name; empty: the server ends the run.
    int status_fd = -1;
    std::string wire;  // The file to which every frame is written; "-" is stderr.
    log::Level log_level = log::Level::Notice;
    std::string log_file;  // The file for diagnostics; empty: stderr.

    // Set by frsh for a process of its own that leads through a jump host; see jump.hpp.
    std::string stdio_forward;          // "HOST:PORT" to connect to behind the target; or empty.
    std::optional<unsigned> sshd_port;  // If no frshd answers there, use sshd. 0: ssh's own port.
    int hop_report = -1;                // The pipe for HopReporter; -1: none.

    // The options of ssh.
    bool print_config = false;    // -G: only print the resolved settings.
    bool subsystem = false;       // -s: `words` is the name of a subsystem.
    bool no_command = false;      // -N: log in, run nothing, and stay.
    bool background = false;      // -f: leave the terminal after the login.
    bool is_called_ssh = false;   // The program's name is ssh; its rules apply where they differ.
    std::string control_command;  // -O: only send this request to the link holder.
    std::optional<std::string> local_command;  // Run here after the login; with its tokens.
    std::vector<std::string> send_env;
    std::vector<std::string> set_env;
};

// Returns what happens when the connection is lost: as the options request, else the default for
// this kind of target.
[[nodiscard]] OnDisconnect on_disconnect_of(const ClientOptions& options);

[[nodiscard]] bool is_request(const ClientOptions& options, KeptRequest::Kind kind);

// Returns true if a run with these options is kept under its id.
[[nodiscard]] bool is_kept(const ClientOptions& options);

}  // namespace frsh
