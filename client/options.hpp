// The command line of frsh.
#pragma once

#include "common/proto/message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// How long to wait for somebody who holds a stream open after the command has ended.
struct Linger {
    std::optional<std::chrono::milliseconds> time;  // Nothing: for ever.
};

struct ClientOptions {
    std::string target;
    std::vector<std::string> words;  // The command, in the words it was given.
    unsigned port = 0;               // 0: not said.
    std::string user;
    std::string via;  // The command whose stdin and stdout are the connection.
    bool plaintext = false;
    std::vector<std::string> identities;  // Key files.
    bool accept_new = false;
    bool trust = false;                // Only take down the host's key,
    std::string expected_fingerprint;  // if it is this one, where one was given.
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
    std::optional<Linger> linger;
    OnDisconnect on_disconnect;  // As it was asked for, else what is usual for the target.
    std::chrono::milliseconds connect_timeout{10'000};
    int status_fd = -1;
    std::string wire;  // Where every frame is shown; "-" is stderr.
    bool quiet = false;
    int verbosity = 0;
};

// Nothing where there is nothing left to do (--help, --version); `status` is the exit code then.
// A command line that makes no sense is said on stderr in one line.
std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status);

}  // namespace frsh
