#include "client/options.hpp"

#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <sstream>

#include <CLI/CLI.hpp>

namespace frsh {
namespace {

constexpr const char* kUsage =
    "frsh [options] TARGET [command...]\n\n"
    "Runs a command on TARGET and hands back exactly what it did. Without a command: a prompt, "
    "or,\n"
    "where stdin is no terminal, a login shell that reads it.\n\n"
    "TARGET is local, unix:PATH or [user@]host[:port].\n"
    "Exit code: the command's own; 128+N for signal N; 124 timed out; 130 canceled; 127 not "
    "found;\n"
    "126 not executable; 255 frsh's own failure, a lost run included.";

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

// ssh's: a character, ^ and a letter for a control character, or none.
std::optional<std::optional<char>> parse_escape(std::string_view text) {
    using Escape = std::optional<char>;
    if (text == "none") return Escape();
    if (text.size() == 1) return Escape(text[0]);
    const bool is_control = text.size() == 2 && text[0] == '^' && text[1] >= '?' && text[1] <= '~';
    if (is_control) return Escape(static_cast<char>(text[1] & 31));
    return std::nullopt;
}

void declare(CLI::App& app, ClientOptions& options) {
    app.set_version_flag("--version", "frsh " FRSH_VERSION);
    // From the first word that is no option on, everything belongs to TARGET and the command.
    app.prefix_command();
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
    app.add_flag("--argv", options.argv, "Run the words as a program and its arguments, no shell");
    app.add_option("--env", options.env, "Set a variable for the command; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("--cwd", options.cwd, "Run the command in this folder")->type_name("DIR");
    app.add_flag("-n", options.stdin_null, "The command's stdin is /dev/null");
    app.add_flag_function(
        "-t",
        [&options](std::int64_t times) { options.tty = times > 1 ? Tty::Forced : Tty::Wanted; },
        "Run it on a terminal, where there is one here; -tt: in any case; without a command: a "
        "login shell");
    app.add_flag_callback(
        "-T", [&options] { options.tty = Tty::Never; }, "No terminal, and no prompt");
    app.add_option_function<std::string>(
           "-e",
           [&options](const std::string& text) {
               const auto escape = parse_escape(text);
               if (!escape) throw CLI::ValidationError("'" + text + "' is no CHAR, ^CHAR or none");
               options.escape = *escape;
           },
           "What begins an escape at the start of a line on a terminal (~)")
        ->type_name("CHAR|none");
    add_parsed(app, "--timeout", options.timeout, parse_duration, "DUR",
               "End the command after this time (exit code 124)");
    add_parsed(app, "--idle-timeout", options.idle_timeout, parse_duration, "DUR",
               "End the command when it has written nothing for this time (124)");
    add_parsed(app, "--max-output", options.max_output, parse_size, "SIZE",
               "Keep the first and the last half of this of each stream, drop what lies between");
    add_parsed(app, "--linger", options.settings.linger, parse_linger, "DUR|inf",
               "After the command ended, wait this long for silent processes it left (2s)");
    add_parsed(app, "--on-disconnect", options.settings.on_disconnect, parse_on_disconnect,
               "kill|grace:DUR",
               "When the connection is lost: end the command at once, or when nobody has come back "
               "for it within DUR (grace:30s over a network, else kill)");
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
    app.add_flag("-q,--quiet", options.quiet, "Say nothing on stderr");
    app.add_flag("-v,--verbose", options.verbosity, "Say what happens; twice: every event");
}

// What cannot be asked for together.
std::optional<std::string> contradiction(const ClientOptions& options) {
    if (!options.batch) {
        if (options.jobs != 1) return "--jobs: goes with --batch";
        if (options.one_shell) return "--one-shell: goes with --batch";
    } else {
        if (!options.words.empty()) return "--batch: the commands come from stdin, not as words";
        if (options.argv) return "--batch: its lines are for a shell, not --argv";
        if (options.one_shell && options.jobs != 1) return "--one-shell: one run at a time";
    }
    if (options.tty == Tty::Wanted || options.tty == Tty::Forced) {
        const char* const why = options.json ? "--json" : options.batch ? "--batch" : nullptr;
        if (why != nullptr) return std::string("-t: a terminal is looked at; not with ") + why;
        if (options.max_output)
            return "-t: nothing is left out on a terminal; not with --max-output";
    }
    if (options.argv && options.words.empty()) return "--argv: no program was named";
    if (options.argv && options.words[0].empty()) return "--argv: the program's name is empty";
    for (const std::string& entry : options.env) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0) {
            return "--env: '" + escape_controls(entry) + "' is not NAME=VALUE";
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<ClientOptions> parse_client_options(int argc, char** argv, int& status) {
    ClientOptions options;
    CLI::App app{kUsage, "frsh"};
    declare(app, options);
    const auto refuse = [&](const std::string& why) {
        log::error(escape_controls(why));
        status = 255;
        return std::nullopt;
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        app.exit(success);
        status = 0;
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        return refuse(error.what());
    }
    options.words = app.remaining();
    if (options.words.empty()) return refuse("no target; try frsh --help");
    options.target = options.words[0];
    options.words.erase(options.words.begin());
    if (options.target.starts_with("-")) return refuse("unknown option " + options.target);
    if (options.trust) {
        const bool is_tcp = options.target != "local" && !options.target.starts_with("unix:");
        if (!is_tcp || options.words.size() > 1) {
            return refuse("--trust: takes [user@]host[:port], and at most a fingerprint");
        }
        if (!options.words.empty()) options.expected_fingerprint = options.words[0];
    }
    if (const auto why = contradiction(options)) return refuse(*why);
    return options;
}

// A network fails by itself; on one machine a connection ends because somebody ended it.
OnDisconnect on_disconnect_of(const ClientOptions& options) {
    if (options.settings.on_disconnect) return *options.settings.on_disconnect;
    const bool is_network = options.settings.via.empty() && !options.plaintext &&
                            options.target != "local" && !options.target.starts_with("unix:");
    if (!is_network) return {};
    return {OnDisconnect::Kind::Grace, std::chrono::seconds(30)};
}

}  // namespace frsh
