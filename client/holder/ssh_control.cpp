#include "client/holder/ssh_control.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/forward/forwards.hpp"
#include "client/holder/control_door.hpp"
#include "client/holder/link_place.hpp"
#include "client/holder/shared_link.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

// Writes a line as ssh does, without this program's name. Programs compare it.
void print(std::string_view line) {
    write_all(STDERR_FILENO, std::string(line) + "\n");
}

// Returns the links's path. Throws SysError with the error that connect(2) on the ControlPath has.
std::string find_holder(const std::string& control) {
    const auto found = find_control(control);
    if (found && owner_of_link(*found) != 0) return *found;
    struct stat info {};
    if (::stat(control.c_str(), &info) == -1) throw SysError(control);
    throw SysError(control, ECONNREFUSED);
}

// Whether a port that the server chose is printed on stdout, too.
enum class PortsTo { Log, Stdout };

// Sends the request for each forwarding. Returns the first reason for a refusal; empty for none.
std::string request_forwards(const std::string& path, const std::string& verb,
                             const std::vector<std::string>& forwards, PortsTo out) {
    std::string first;
    const std::string door = path + ".ctl";
    const std::string start = verb + " ";
    for (const std::string& text : forwards) {
        const std::string answer = ask_door(door, start + text);
        const auto parsed = parse_forward(text);
        const auto* const spec = std::get_if<ForwardSpec>(&parsed);
        if (!answer.starts_with("ok")) {
            if (first.empty()) first = "-" + text + ": " + answer.substr(answer.find(' ') + 1);
        } else if (verb == "forward" && spec != nullptr && spec->path.empty() && spec->port == 0) {
            const std::string port = answer.substr(3);
            announce_port(*spec, std::stoul(port));
            // As ssh does, for scripts.
            const bool is_remote = spec->kind == ForwardSpec::Kind::Remote;
            if (is_remote && out == PortsTo::Stdout) write_all(STDOUT_FILENO, port + "\n");
        }
    }
    return first;
}

// Returns the path of a holder that this client may use. Starts one if the options permit it.
std::optional<std::string> find_or_start(const ClientOptions& options, const LinkPlace& place) {
    const auto find = [&place]() -> std::optional<std::string> {
        auto path = find_control(place.control);
        if (!path || owner_of_link(*path) == 0) return std::nullopt;
        const auto state = read_state(*path);
        if (!state || !may_use(state->key, place)) return std::nullopt;
        return path;
    };
    if (auto path = find()) return path;
    if (!may_start_holder(options)) return std::nullopt;
    if (!start_holder(options, place)) {
        throw UserError("ControlSocket " + escape_controls(place.control) + " already exists");
    }
    return find();
}

// Has the holder do the forwardings of the options. Throws UserError if one fails that must not.
void hand_over(ClientOptions& options, const std::string& path) {
    const std::string why =
        request_forwards(path, "forward", options.settings.forwards, PortsTo::Log);
    if (!why.empty()) {
        if (options.settings.exit_on_forward_failure.value_or(false)) throw UserError(why);
        log::error(why);
    }
    options.settings.forwards.clear();
}

// Waits for the end of the holder, or a signal. Returns the exit code.
int stay(const std::string& path, const std::string& control) {
    const Fd door = stay_at_door(path + ".ctl");
    Signals signals(without_ignored({SIGINT, SIGTERM, SIGHUP}));
    EventLoop loop;
    int code = -1;
    const auto signal_watch = loop.watch(
        "signals: to leave", signals.fd(), [] { return short{POLLIN}; },
        [&](short) {
            for (const int number : signals.take())
                code = 128 + number;
        });
    const auto end_watch = loop.watch(
        "the end of the link", door.get(), [] { return short{POLLIN}; },
        [&](short) {
            char word[16];
            code = read_some(door.get(), word, sizeof word).bytes > 0 ? 0 : 255;
        });
    while (code == -1)
        (void)loop.run_once();
    if (code == 255) log::error("Shared connection at " + escape_controls(control) + " closed.");
    return code;
}

}  // namespace

int control_link(const ClientOptions& options) {
    if (!has_control_path(options.settings)) {
        throw UserError("No ControlPath specified for \"-O\" command");
    }
    const std::string control = place_of_link(options).control;
    const std::string& command = options.control_command;
    try {
        const std::string path = find_holder(control);
        if (command == "forward" || command == "cancel") {
            const std::string why =
                request_forwards(path, command, options.settings.forwards, PortsTo::Stdout);
            if (!why.empty()) throw UserError(why);
            return 0;
        }
        const auto pid = owner_of_link(path);
        const std::string answer = ask_door(path + ".ctl", command);
        if (answer != "ok") throw SysError(control, ECONNREFUSED);
        if (command == "check") print("Master running (pid=" + std::to_string(pid) + ")");
        if (command == "exit") print("Exit request sent.");
        if (command == "stop") print("Stop listening request sent.");
        return 0;
    } catch (const SysError& error) {
        if (log::level() != log::Level::Quiet) {
            print("Control socket connect(" + escape_controls(control) +
                  "): " + std::strerror(error.code().value()));
        }
        return 255;
    }
}

void hand_over_forwards(ClientOptions& options) {
    const std::vector<std::string>& forwards = options.settings.forwards;
    // A link holder has no ports of the server.
    const bool has_remote =
        std::any_of(forwards.begin(), forwards.end(),
                    [](const std::string& forward) { return forward.starts_with("R "); });
    if (forwards.empty() || has_remote) return;
    ClientOptions without = options;
    without.settings.forwards.clear();
    if (!may_share(without)) return;
    const LinkPlace place = place_of_link(options);
    try {
        if (const auto path = find_or_start(options, place)) hand_over(options, *path);
    } catch (const SysError& error) {
        log::info(std::string("not shared: ") + error.what());
    }
}

std::optional<int> run_master(ClientOptions& options) {
    const LinkPlace place = place_of_link(options);
    const auto path = find_or_start(options, place);
    if (!path) {
        if (may_start_holder(options)) throw UserError("the shared connection has closed");
        return std::nullopt;
    }
    hand_over(options, *path);
    return options.background ? 0 : stay(*path, place.control);
}

}  // namespace frsh
