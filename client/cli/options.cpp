#include "client/cli/options.hpp"

#include "client/cli/option_conflicts.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kUsage =
    "frsh [options] TARGET [command...]\n\n"
    "Runs a command on TARGET and hands back exactly what it did. Without a command: a prompt, "
    "or,\n"
    "where stdin is no terminal, a login shell that reads it.\n\n"
    "TARGET is local, unix:PATH or [user@]host[:port]. Short options, and -o Key=Value, are "
    "ssh's;\n"
    "they may also follow TARGET. Not there: forwarding (-w -X).\n"
    "Exit code: the command's own; 128+N for signal N; 124 timed out, or not over yet; 130 "
    "canceled;\n"
    "127 not found; 126 not executable; 255 frsh's own failure, a lost run included.";

// ssh prints its usage after an unknown option. Programs search for the word in lower case.
constexpr const char* kSshUsage =
    "usage: ssh [options] [user@]host[:port] [command [argument ...]]\n"
    "       (this is frsh: see frsh-ssh(7))\n";

constexpr const char* kShort =
    "Short options are ssh's, and so are their values; they may be bundled, and follow TARGET:\n"
    "  -t                 Run it on a terminal, where there is one here; -tt: in any case; "
    "without\n"
    "                     a command: a login shell\n"
    "  -T                 No terminal, and no prompt\n"
    "  -e CHAR|none       What begins an escape at the start of a line on a terminal (~)\n"
    "  -n                 The command's stdin is /dev/null\n"
    "  -s                 The command is a subsystem: sftp\n"
    "  -N, -f             No command, only the login; to the background once logged in\n"
    "  -o KEY=VALUE       As in ssh_config(5); frsh-ssh(7) lists the keys\n"
    "  -F FILE, -E FILE   The file for ssh -G, or none; where diagnostics go\n"
    "  -J HOST,...        Go through the frshd of these hosts; sshd:HOST: through its sshd;\n"
    "                     -J none: directly\n"
    "  -L SPEC, -D SPEC   Forward a port or a socket of this side; a SOCKS proxy on this side\n"
    "  -M, -S PATH        Keep the login for other commands, which find it by this path\n"
    "  -O check|exit|...  Send a request to it: also stop, forward, cancel\n"
    "  -R SPEC            Forward a port or a socket of the server; a port alone: a SOCKS proxy\n"
    "  -W HOST:PORT|PATH  stdin and stdout are one connection that the server makes\n"
    "  -g                 Forwarded ports without an address listen on all addresses\n"
    "  -A, -a             Lend the agent of this side, and ask before each signature (-A=yes: "
    "never\n"
    "                     ask); do not lend it\n"
    "  -4, -6, -b ADDR    Only IPv4, only IPv6; the address on this side\n"
    "  -G, -V             Print what was resolved; print the version";

constexpr std::string_view kEnded = "--ended";  // In place of an id, for --forget.

template <typename Value>
CLI::Option* add_parsed(CLI::App& app, const char* name, std::optional<Value>& into,
                        std::optional<Value> (*parse)(std::string_view), const char* type,
                        const char* help) {
    return app
        .add_option_function<std::string>(
            name,
            [&into, parse, type](const std::string& text) {
                into = parse(text);
                if (!into) throw CLI::ValidationError("'" + text + "' is no " + type);
            },
            help)
        ->type_name(type);
}

void add_id(CLI::App& app, const char* name, const char* help,
            std::function<void(const std::string&)> take) {
    app.add_option_function<std::string>(
           name,
           [take = std::move(take)](const std::string& text) {
               if (!is_run_id(text)) throw CLI::ValidationError("'" + text + "' is no run id");
               take(text);
           },
           help)
        ->type_name("ID");
}

// Declares an option that takes several ids: "a,b", or the option repeated.
void add_ids(CLI::App& app, const char* name, const char* help,
             std::function<void(std::vector<std::string>)> take) {
    app.add_option_function<std::vector<std::string>>(
           name,
           [take = std::move(take)](const std::vector<std::string>& texts) {
               for (const std::string& text : texts) {
                   const bool is_known = is_run_id(text) || (text == kEnded && texts.size() == 1);
                   if (!is_known) throw CLI::ValidationError("'" + text + "' is no run id");
               }
               take(texts);
           },
           help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("ID[,ID...]");
}

void want(ClientOptions& options, KeptRequest::Kind kind, const std::string& run) {
    if (options.request)
        throw CLI::ValidationError(
            "one of --runs, --attach, --logs, --wait, "
            "--kill and --forget at a time");
    options.request = KeptRequest{kind, run};
}

// Declares the options of runs that outlive their connection, and of requests about such runs.
void declare_kept(CLI::App& app, ClientOptions& options) {
    add_id(app, "--run-id", "Run it under this id, once: asked again, it is attached to",
           [&options](const std::string& id) { options.run_id = id; });
    app.add_flag("--detach", options.detach, "Start it, print its id, and leave it running");
    add_parsed(app, "--soft-timeout", options.soft_timeout, parse_duration, "DUR",
               "Leave it running, and say its id, when it is not over after this time (124)");
    add_id(app, "--shell", "Run it in the shell of this name, which lasts: cd, export, functions",
           [&options](const std::string& name) { options.shell_name = name; });
    app.add_flag_callback(
        "--runs", [&options] { want(options, KeptRequest::Kind::List, ""); },
        "List what was started so, and shells; a line of JSON each with --json");
    using Kind = KeptRequest::Kind;
    struct Verb {
        const char* name;
        Kind kind;
        const char* help;
    };
    // ID may be the beginning of an id, if no other id begins so.
    for (const Verb& verb :
         {Verb{"--attach", Kind::Attach, "Follow this run to its end, and exit as it does"},
          Verb{"--logs", Kind::Logs, "Print what there is of its output (0 if that was all right)"},
          Verb{"--wait", Kind::Wait, "Print nothing, and exit as this run does"}}) {
        add_id(app, verb.name, verb.help,
               [&options, kind = verb.kind](const std::string& id) { want(options, kind, id); });
    }
    const auto want_several = [&options](Kind kind, std::vector<std::string> ids) {
        want(options, kind, ids.front());
        options.request->more.assign(ids.begin() + 1, ids.end());
    };
    add_ids(app, "--kill", "End this run, or shell, and wait for that; takes several ids",
            [want_several](std::vector<std::string> ids) {
                if (ids.front() == kEnded)
                    throw CLI::ValidationError("--ended: goes with --forget");
                want_several(Kind::Kill, std::move(ids));
            });
    add_ids(app, "--forget",
            "Remove what is kept of this run, which has ended; takes several ids, or --ended: of "
            "every run that has ended",
            [&options, want_several](std::vector<std::string> ids) {
                const bool all_ended = ids.front() == kEnded;
                want_several(Kind::Forget, std::move(ids));
                options.request->all_ended = all_ended;
                if (all_ended) options.request->run.clear();
            });
    add_parsed(app, "--from", options.from, parse_from, "end|OFFSET[,OFFSET]",
               "With --attach and --logs: where in stdout, and in stderr, to begin");
    app.add_option_function<std::string>(
           "--signal",
           [&options](const std::string& text) {
               const auto number = signal_number(text);
               if (!number) throw CLI::ValidationError("'" + text + "' is no signal");
               options.signal = signal_name(*number);
           },
           "With --kill: only send this signal")
        ->type_name("NAME");
}

void declare_sharing(CLI::App& app, ClientOptions& options) {
    const auto text = std::make_shared<std::string>();
    app.add_flag("--share{60s}", *text,
                 "Keep the connection for further commands, until none has used it for this time "
                 "(60s without a value)")
        ->each([&options, text](const std::string& value) {
            options.settings.share = parse_sharing(value);
            if (!options.settings.share) {
                throw CLI::ValidationError("'" + value + "' is no duration");
            }
        });
    app.add_flag("--link", options.link_frames,
                 "For programs: log in, then pass the frames of the link through stdin and stdout");
    app.add_flag("--links", options.list_links, "Only list the links that are shared");
    app.add_flag("--unshare", options.unshare,
                 "Only end the sharing of links to TARGET; commands on them go on to their end");
}

// Declares the options that start_jump() passes to a frsh of its own. An empty group hides them.
void declare_hop(CLI::App& app, ClientOptions& options) {
    app.add_option("--stdio-forward", options.stdio_forward)->group("");
    app.add_option("--or-sshd", options.sshd_port)->group("")->check(CLI::Range(0, 65535));
    app.add_option("--hop-report", options.hop_report)->group("");
}

void declare(CLI::App& app, ClientOptions& options) {
    declare_hop(app, options);
    app.set_version_flag("--version", std::string("frsh ") + kVersion);
    app.footer(kShort);
    app.add_option("-p,--port", options.settings.port, "Port of a TCP target")
        ->check(CLI::Range(1, 65535));
    app.add_option("-l,--login", options.settings.user, "User name on the target");
    app.add_option("--via", options.settings.via,
                   "Connect over the stdin and stdout of this command, run by sh");
    app.add_option("-i,--identity", options.settings.identities,
                   "Log in with this private key file; may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
    app.add_flag_callback(
        "--accept-new", [&options] { options.settings.accept_new = true; },
        "Trust a host that is not known yet; a changed key is refused all the same");
    app.add_flag("--trust", options.trust,
                 "Run nothing: trust TARGET's key from now on, if it has the fingerprint that "
                 "may follow it");
    app.add_flag("--plaintext", options.plaintext, "TCP without TLS: loopback only");
    add_parsed(app, "--connect-timeout", options.settings.connect_timeout, parse_duration, "DUR",
               "Limit for reaching the server, name look-up included (10s)");
    app.add_flag_callback(
        "--bashrc", [&options] { options.settings.bashrc = options.asks_for_bashrc = true; },
        "A bash that runs the command reads ~/.bashrc first, as under sshd");
    app.add_flag("--argv", options.argv, "Run the words as a program and its arguments, no shell");
    app.add_option("--env", options.env, "Set a variable for the command; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("--cwd", options.cwd, "Run the command in this folder")->type_name("DIR");
    add_parsed(app, "--timeout", options.timeout, parse_duration, "DUR",
               "End the command after this time (exit code 124)");
    add_parsed(app, "--idle-timeout", options.idle_timeout, parse_duration, "DUR",
               "End the command when it has written nothing for this time (124)");
    add_parsed(app, "--max-output", options.max_output, parse_size, "SIZE",
               "Keep the first and the last half of this of each stream, drop what lies between");
    add_parsed(app, "--linger", options.settings.linger, parse_linger, "DUR|inf",
               "After the command ended, wait this long for silent processes it left (2s)");
    add_parsed(app, "--on-disconnect", options.settings.on_disconnect, parse_on_disconnect,
               "kill|keep|grace:DUR",
               "When the connection is lost: end the command at once, or unless a client resumes "
               "within DUR (grace:30s over a network, else kill), or let it run on");
    declare_kept(app, options);
    declare_sharing(app, options);
    app.add_option("--status-fd", options.status_fd, "Write the record as a line of JSON there")
        ->type_name("N")
        ->check(CLI::Range(0, 1 << 20));
    app.add_flag("--json", options.json, "Print the record with the output inside, nothing else");
    app.add_flag("--batch", options.batch, "Run each line of stdin as a command of its own");
    app.add_option("--jobs", options.jobs, "With --batch: this many at once")
        ->check(CLI::Range(1, 200));
    app.add_flag("--one-shell", options.one_shell,
                 "With --batch: in one shell that keeps its state");
    app.add_option("--wire", options.wire, "Show every frame, both ways; - is stderr")
        ->type_name("FILE|-");
    app.add_flag_callback(
        "-q,--quiet", [&options] { options.log_level = log::Level::Quiet; },
        "Say nothing on stderr but the reason of a 255");
    app.add_flag_callback(
        "-v,--verbose", [&options] { options.log_level = log::Level::Info; },
        "Say what happens; -vv: every event");
}

// Applies ssh's short options. They replace the values of long options.
void apply(SshOptions said, ClientOptions& options) {
    const auto take = [](auto& field, auto& value) {
        if (value) field = std::move(*value);
    };
    options.target = std::move(said.target);
    options.words = std::move(said.words);
    if (said.remote_command) options.words = {std::move(*said.remote_command)};
    if (said.config_file) said.settings.ssh_config = std::move(*said.config_file);
    fill_in(said.settings, options.settings);
    options.settings = std::move(said.settings);
    take(options.log_level, said.log_level);
    take(options.log_file, said.log_file);
    take(options.stdin_null, said.stdin_null);
    take(options.tty, said.tty);
    if (said.escape) options.escape = *said.escape;
    options.print_config = said.print_config;
    options.subsystem = said.subsystem;
    options.no_command = said.no_command;
    options.background = said.background;
    options.control_command = std::move(said.control_command);
    if (said.permits_local_command.value_or(false)) {
        options.local_command = std::move(said.local_command);
    }
    options.send_env = std::move(said.send_env);
    options.set_env = std::move(said.set_env);
}

// Sets the defaults that differ if the program was started under the name "ssh".
void take_sshs_rules(ClientOptions& options) {
    if (!options.settings.linger) options.settings.linger = Linger{};
    const bool may_outlast = is_kept(options) || options.request;
    if (!options.settings.on_disconnect && !may_outlast) {
        options.settings.on_disconnect = OnDisconnect{};
    }
    if (!options.settings.bashrc) options.settings.bashrc = true;
    if (!options.control_command.empty()) return;
    // ssh starts a login shell on a terminal where frsh opens its prompt.
    const bool is_login =
        options.words.empty() && !options.no_command && !options.request && !options.link_frames;
    if (is_login && options.tty == Tty::Automatic) options.tty = Tty::Wanted;
}

// The prompt forwards nothing; a login shell takes its place.
void take_rules_of_login(ClientOptions& options) {
    const bool is_login = options.words.empty() && !options.no_command && !options.request;
    const bool is_prompt = is_login && !options.batch && ::isatty(STDIN_FILENO) == 1;
    if (is_prompt && options.tty == Tty::Automatic) options.tty = Tty::Wanted;
}

// Sets the defaults of a command line with -L, -D or -R.
void take_rules_of_forwards(ClientOptions& options) {
    // Under the name "ssh" its own default holds: the failure is only logged.
    auto& exits = options.settings.exit_on_forward_failure;
    if (!exits && !options.is_called_ssh) exits = true;
    take_rules_of_login(options);
}

std::string way_of(const ClientOptions& options) {
    const ConnectionSettings& settings = options.settings;
    std::string way;
    const auto add = [&way](const char* name, const std::optional<std::string>& value) {
        if (value) way.append(" ").append(name).append(" ").append(shell_quote(*value));
    };
    if (options.plaintext) way += " --plaintext";
    add("--via", settings.via);
    if (settings.port) add("-p", std::to_string(*settings.port));
    add("-l", settings.user);
    return way;
}

std::string text_for_no_target(const ClientOptions& options) {
    if (!options.request || options.request->run.empty()) return "no target; try frsh --help";
    return "no target; first the option with the id of the run, then the target: " +
           std::string(name_of(options.request->kind)) + " " + options.request->run + " TARGET";
}

bool is_named_ssh(std::string_view program) {
    return program.substr(program.rfind('/') + 1) == "ssh";
}

// gvfs and brz look for the word OpenSSH, and use other options without it.
std::string version_line(bool is_called_ssh) {
    const std::string own = std::string("frsh ") + kVersion + "\n";
    return is_called_ssh ? "OpenSSH_9.2 compatible, " + own : own;
}

}  // namespace

std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status,
                                                  std::string* why_refused) {
    ClientOptions options;
    CLI::App app{kUsage, "frsh"};
    declare(app, options);
    options.is_called_ssh = argc > 0 && is_named_ssh(argv[0]);
    const auto refuse = [&](const std::string& why) {
        log::error(escape_controls(why));
        if (why_refused != nullptr) *why_refused = why;
        const bool is_usage = why.starts_with("unknown option") || why.starts_with("no target");
        if (is_usage && options.is_called_ssh) write_all(STDERR_FILENO, kSshUsage);
        status = 255;
        return std::nullopt;
    };
    const auto takes_value = [&app](const std::string& name) -> std::optional<bool> {
        const CLI::Option* const option = app.get_option_no_throw(name);
        if (option == nullptr) return std::nullopt;
        return option->get_items_expected_max() > 0;
    };
    auto parsed = parse_ssh_options({argv + std::min(argc, 1), argv + argc}, takes_value);
    if (const auto* const why = std::get_if<std::string>(&parsed)) return refuse(*why);
    auto& said = std::get<SshOptions>(parsed);
    if (said.version) {
        write_all(STDERR_FILENO, version_line(options.is_called_ssh));
        status = 0;
        return std::nullopt;
    }
    std::vector<std::string> own(said.long_options.rbegin(), said.long_options.rend());
    if (said.help) own.insert(own.begin(), "--help");
    try {
        app.parse(std::move(own));
    } catch (const CLI::Success& success) {
        app.exit(success);
        status = 0;
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        return refuse(error.what());
    }
    apply(std::move(said), options);
    options.way = way_of(options);
    if (!options.settings.forwards.empty()) take_rules_of_forwards(options);
    options.asks_for_agent =
        options.settings.agent.value_or(AgentForwarding::No) != AgentForwarding::No;
    if (options.asks_for_agent) take_rules_of_login(options);
    if (options.target.empty() && !options.list_links) return refuse(text_for_no_target(options));
    if (options.is_called_ssh) take_sshs_rules(options);
    auto& jump = options.settings.jump;
    if (jump && (options.is_called_ssh || options.sshd_port)) jump->may_be_sshd = true;
    if (options.trust) {
        if (!is_host(options.target) || options.words.size() > 1) {
            return refuse("--trust: takes [user@]host[:port], and at most a fingerprint");
        }
        if (!options.words.empty()) options.expected_fingerprint = options.words[0];
    }
    if (const auto why = find_option_conflict(options)) return refuse(*why);
    // A kept run keeps running, whatever config.toml has for the target.
    if (is_kept(options) && !options.settings.on_disconnect) {
        options.settings.on_disconnect =
            OnDisconnect{OnDisconnect::Kind::Keep, kDefaultGracePeriod};
    }
    return options;
}

}  // namespace frsh
