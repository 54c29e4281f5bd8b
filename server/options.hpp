// The command line of frshd.
#pragma once

#include "common/base/log.hpp"
#include "server/login/sshd_policy.hpp"
#include "server/run/forward_rules.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// The settings that the command line and the configuration file (config.hpp) both have; the command
// line wins. A member without a value was not given. A list that was given may be empty.
struct ServerSettings {
    using List = std::optional<std::vector<std::string>>;

    List listen;                           // "[ADDR:]PORT"
    std::optional<std::string> unix_path;  // An empty text: the default path.
    std::string host_key;                  // A path; empty: the default one.
    std::string audit;                     // A path; empty: none.
    std::string sftp_server;               // A command; empty: the system's.
    std::optional<bool> audit_required;    // Refuse logins that the audit cannot record.
    std::optional<std::uint64_t> max_sessions;
    List penalty_exempt;  // Addresses and networks, which get no penalties.
    std::optional<log::Level> log_level;
    std::optional<bool> permit_root_login;
    std::optional<bool> permit_user_environment;
    std::optional<bool> use_pam;  // As root; nothing: if /etc/pam.d/frshd exists.
    List allow_users;             // Patterns of user names, one of which must match.
    List allow_groups;  // Patterns of groups, one of which must match a group of the user.
    // Kept runs: how long they stay after their end, and how many bytes all of them, and each
    // stream, may have.
    std::optional<std::chrono::milliseconds> keep_age;
    std::optional<std::uint64_t> keep_total;
    std::optional<std::uint64_t> keep_stream;
    std::optional<SshdPolicyMode> sshd_policy;
    // Paths; empty: none, and for the certificate the one beside the host key.
    std::string revoked_keys;
    std::string trusted_user_ca_keys;
    std::string host_certificate;
    List plain_shells;  // Patterns of shells that restrict nothing; see is_plain_shell().
    List accept_env;    // Patterns of variables that a client may pass on; see is_forwardable().
    std::optional<Forwarding> forwarding;
    List permit_open;    // "HOST:PORT" or a path: what a session may connect to for its client.
    List permit_listen;  // "HOST:PORT" or a path: where it may listen for its client.
};

struct ServerOptions {
    ServerSettings settings;
    std::string config;       // A path; empty: the default one.
    std::string config_read;  // The path of the file that was read; empty: there was none.
    bool stdio = false;
    bool plaintext = false;
    bool use_sandbox = true;
    // The service manager opened the sockets; see listener/systemd.hpp.
    bool listens_on_given_sockets = false;
};

// Parses the command line. Returns nothing if the program should exit with `status`: after --help
// or --version, and after an error, which is one line on stderr.
std::optional<ServerOptions> parse_server_options(int argc, char** argv, int& status);

}  // namespace frsh
