// The command line of frsh.
#pragma once

#include "client/settings.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Is the command to have a terminal there?
enum class Tty {
    Automatic,  // A command gets none; without one there is a prompt.
    Never,      // -T
    Wanted,     // -t: where we have one ourselves.
    Forced,     // -tt
};

struct ClientOptions {
    std::string target;
    std::vector<std::string> words;  // The command, in the words it was given.
    ConnectionSettings settings;     // Whoever has a say; see settings.hpp.
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
    int status_fd = -1;
    std::string wire;  // Where every frame is shown; "-" is stderr.
    bool quiet = false;
    int verbosity = 0;
};

// Nothing where there is nothing left to do (--help, --version); `status` is the exit code then.
// A command line that makes no sense is said on stderr in one line.
std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status);

// What is to happen when the connection is lost: as it was asked for, else what is usual for such a
// target.
[[nodiscard]] OnDisconnect on_disconnect_of(const ClientOptions& options);

}  // namespace frsh
