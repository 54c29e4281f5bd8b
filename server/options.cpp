#include "server/options.hpp"

#include "common/base/log.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>

namespace frsh {

std::optional<ServerOptions> parse_server_options(int argc, char** argv, int& status) {
    ServerOptions options;
    bool no_sandbox = false;
    CLI::App app{
        "The server of frsh, the framed remote shell.\n"
        "Without --listen or --stdio it serves its own user on a unix socket.",
        "frshd"};
    app.set_version_flag("--version", "frshd " FRSH_VERSION);
    app.add_option(
           "--listen", options.listen,
           "Listen on TCP with TLS; the default address is 127.0.0.1, port 0 takes a free one")
        ->type_name("[ADDR:]PORT")
        ->allow_extra_args(false);
    app.add_option("--unix", options.unix_path,
                   "Listen on a unix socket; without PATH in the runtime folder")
        ->type_name("[PATH]")
        ->expected(0, 1)
        ->default_str("");
    app.add_flag("--stdio", options.stdio, "Serve one connection on stdin and stdout");
    app.add_option("--host-key", options.host_key,
                   "The key that proves this host; as root /etc/ssh/ssh_host_ed25519_key, else "
                   "~/.config/frsh/host_ed25519")
        ->type_name("FILE");
    app.add_flag("--permit-root-login", options.permit_root_login,
                 "As root: let root log in over TCP, too");
    app.add_flag("--no-sandbox", no_sandbox,
                 "Leave the process that faces the network its rights (sanitizers need that)");
    app.add_flag("--plaintext", options.plaintext,
                 "Speak without TLS: on loopback and with your own user only");
    app.add_option("--audit", options.audit,
                   "Append a line of JSON for each connection, run and refusal")
        ->type_name("FILE");
    app.add_option("--sftp-server", options.sftp_server,
                   "What a client's `-s sftp` starts; the system's, if not given")
        ->type_name("PATH");
    app.add_flag("-v,--verbose", options.verbosity, "Say what happens; twice: every event");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        app.exit(success);
        status = 0;
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        log::error(error.what());
        status = 255;
        return std::nullopt;
    }
    const auto refuse = [&](const char* why) {
        log::error(why);
        status = 255;
        return std::nullopt;
    };
    if (options.stdio && (!options.listen.empty() || options.unix_path)) {
        return refuse("--stdio: serves one connection and listens nowhere");
    }
    if (options.plaintext && options.listen.empty()) {
        return refuse("--plaintext: goes with --listen");
    }
    options.use_sandbox = !no_sandbox;
    if (options.listen.empty() && !options.unix_path && !options.stdio) options.unix_path = "";
    return options;
}

}  // namespace frsh
