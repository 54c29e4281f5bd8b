// The command line of frshd.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace frsh {

struct ServerOptions {
    std::vector<std::string> listen;  // "[ADDR:]PORT"
    bool plaintext = false;
    std::string host_key;  // A path; empty: the usual one.
    bool permit_root_login = false;
    bool use_sandbox = true;
    std::optional<std::string> unix_path;  // Empty: the usual place.
    bool stdio = false;
    std::string sftp_server;  // A path; empty: wherever the system has it.
    std::string audit;        // A path; empty: none.
    int verbosity = 0;
};

// Nothing where there is nothing left to do (--help, --version); `status` is the exit code then.
// A command line that makes no sense is said on stderr in one line.
std::optional<ServerOptions> parse_server_options(int argc, char** argv, int& status);

}  // namespace frsh
