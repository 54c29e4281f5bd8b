#include "server/options.hpp"

#include "common/base/log.hpp"
#include "common/base/version.hpp"

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

namespace frsh {
namespace {

// Options that have no place of their own in ServerOptions.
struct PlainFlags {
    bool no_sandbox = false;
    int verbosity = 0;
};

void add_options(CLI::App& app, ServerOptions& options, PlainFlags& flags) {
    ServerSettings& settings = options.settings;
    app.set_version_flag("--version", std::string("frshd ") + kVersion);
    app.add_option("--config", options.config,
                   "Read this instead of /etc/frsh/frshd.toml (as root) or "
                   "~/.config/frsh/frshd.toml; options come first")
        ->type_name("FILE");
    app.add_option(
           "--listen", settings.listen.emplace(),
           "Listen on TCP with TLS; the default address is 127.0.0.1, port 0 takes a free one")
        ->type_name("[ADDR:]PORT")
        ->allow_extra_args(false);
    app.add_option("--unix", settings.unix_path,
                   "Listen on a unix socket; without PATH in the runtime folder")
        ->type_name("[PATH]")
        ->expected(0, 1)
        ->default_str("");
    app.add_flag("--stdio", options.stdio, "Serve one connection on stdin and stdout");
    app.add_option("--host-key", settings.host_key,
                   "The key that proves this host; as root /etc/ssh/ssh_host_ed25519_key, else "
                   "~/.config/frsh/host_ed25519")
        ->type_name("FILE");
    app.add_flag_callback(
        "--permit-root-login", [&settings] { settings.permit_root_login = true; },
        "As root: let root log in over TCP, too");
    app.add_flag("--no-sandbox", flags.no_sandbox,
                 "Leave the process that faces the network its rights (sanitizers need that)");
    app.add_flag("--plaintext", options.plaintext,
                 "Speak without TLS: on loopback and with your own user only");
    app.add_option("--audit", settings.audit,
                   "Append a line of JSON for each connection, run and refusal")
        ->type_name("FILE");
    app.add_option("--sftp-server", settings.sftp_server,
                   "What a client's `-s sftp` starts; the system's, if not given")
        ->type_name("COMMAND");
    app.add_flag("-v,--verbose", flags.verbosity, "Log what happens; twice: every event");
}

}  // namespace

std::optional<ServerOptions> parse_server_options(int argc, char** argv, int& status) {
    ServerOptions options;
    ServerSettings& settings = options.settings;
    PlainFlags flags;
    CLI::App app{
        "The server of frsh, the framed remote shell.\n"
        "Without --listen or --stdio it serves its own user on a unix socket.",
        "frshd"};
    add_options(app, options, flags);
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
    if (settings.listen->empty()) settings.listen.reset();
    if (options.stdio && (settings.listen || settings.unix_path)) {
        return refuse("--stdio: serves one connection and listens nowhere");
    }
    options.use_sandbox = !flags.no_sandbox;
    if (flags.verbosity > 0)
        settings.log_level = flags.verbosity > 1 ? log::Level::Debug : log::Level::Info;
    return options;
}

}  // namespace frsh
