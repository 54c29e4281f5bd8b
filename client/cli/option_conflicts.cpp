#include "client/cli/option_conflicts.hpp"

#include "client/cli/ssh_names.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace frsh {

const char* name_of(KeptRequest::Kind kind) {
    switch (kind) {
        case KeptRequest::Kind::List:
            return "--runs";
        case KeptRequest::Kind::Attach:
            return "--attach";
        case KeptRequest::Kind::Logs:
            return "--logs";
        case KeptRequest::Kind::Wait:
            return "--wait";
        case KeptRequest::Kind::Kill:
            return "--kill";
        case KeptRequest::Kind::Forget:
            break;
    }
    return "--forget";
}

namespace {

struct Said {
    bool is_said;
    const char* name;
};

// Returns the first of these options that the command line has; null if it has none.
const char* first_said(std::initializer_list<Said> options) {
    const auto* const found = std::find_if(options.begin(), options.end(),
                                           [](const Said& option) { return option.is_said; });
    return found == options.end() ? nullptr : found->name;
}

bool wants_tty(const ClientOptions& options) {
    return options.tty == Tty::Wanted || options.tty == Tty::Forced;
}

// Returns the first option that describes a new command. A request about a kept run takes none.
const char* first_of_a_command(const ClientOptions& options) {
    return first_said({{!options.words.empty(), "a command"},
                       {options.detach, "--detach"},
                       {!options.run_id.empty(), "--run-id"},
                       {options.soft_timeout.has_value(), "--soft-timeout"},
                       {!options.shell_name.empty(), "--shell"},
                       {options.settings.on_disconnect.has_value(), "--on-disconnect"},
                       {options.batch, "--batch"},
                       {wants_tty(options), "-t"},
                       {options.no_command, "-N"},
                       {options.background, "-f"},
                       {options.subsystem, "-s"},
                       {options.argv, "--argv"},
                       {!options.env.empty(), "--env"},
                       {options.cwd.has_value(), "--cwd"},
                       {options.timeout.has_value(), "--timeout"},
                       {options.idle_timeout.has_value(), "--idle-timeout"},
                       {options.max_output.has_value(), "--max-output"},
                       {options.trust, "--trust"}});
}

std::optional<std::string> contradiction_of_request(const ClientOptions& options) {
    using Kind = KeptRequest::Kind;
    const auto kind = options.request ? std::optional(options.request->kind) : std::nullopt;
    if (options.from && kind != Kind::Attach && kind != Kind::Logs) {
        return "--from: goes with --attach ID or --logs ID";
    }
    if (!options.signal.empty() && kind != Kind::Kill) return "--signal: goes with --kill ID";
    if (!kind) return std::nullopt;
    const char* other = first_of_a_command(options);
    const bool has_record = kind == Kind::Attach || kind == Kind::Logs || kind == Kind::Wait;
    if (other == nullptr && !has_record && options.status_fd >= 0) other = "--status-fd";
    if (other == nullptr && !has_record && options.json && kind != Kind::List) other = "--json";
    if (other == nullptr) return std::nullopt;
    return std::string(name_of(*kind)) + ": not with " + other;
}

// Returns a conflict of a kept run, or of a run in a named shell.
std::optional<std::string> contradiction_of_kept(const ClientOptions& options) {
    const bool wants_keep = options.settings.on_disconnect &&
                            options.settings.on_disconnect->kind == OnDisconnect::Kind::Keep;
    const auto first = [&](std::initializer_list<Said> more) {
        const char* const found = first_said(more);
        return found != nullptr ? found
                                : first_said({{options.batch, "--batch"},
                                              {wants_tty(options), "-t"},
                                              {options.no_command, "-N"}});
    };
    const bool goes_on = options.detach || options.soft_timeout;
    const Said other_wish{goes_on && options.settings.on_disconnect && !wants_keep,
                          "an --on-disconnect that ends it"};
    const Said in_shell{!options.shell_name.empty(), "--shell"};
    const char* what = nullptr;
    const char* other = nullptr;
    if (options.detach) {
        what = "--detach";
        other = first({{options.soft_timeout.has_value(), "--soft-timeout"},
                       {options.json, "--json (--status-fd has the record)"},
                       other_wish,
                       in_shell});
    } else if (options.soft_timeout) {
        what = "--soft-timeout";
        other = first({other_wish, in_shell});
    } else if (!options.run_id.empty()) {
        what = "--run-id";
        other = first({in_shell});
    } else if (!options.shell_name.empty()) {
        what = "--shell";
        other = first({{wants_keep, "--on-disconnect=keep"},
                       {options.argv, "--argv"},
                       {options.subsystem, "-s"},
                       {!options.env.empty(), "--env (export it there)"},
                       {options.cwd.has_value(), "--cwd (cd there)"}});
    } else if (wants_keep) {
        what = "--on-disconnect=keep";
        other = first({});
    }
    if (what == nullptr) return std::nullopt;
    if (other != nullptr) return std::string(what) + ": not with " + other;
    const bool needs_command = options.words.empty() && what != std::string("--on-disconnect=keep");
    if (needs_command) return std::string(what) + ": goes with a command";
    return std::nullopt;
}

// Returns a conflict of -O, -M or ControlPath.
std::optional<std::string> contradiction_of_control(const ClientOptions& options) {
    const ConnectionSettings& settings = options.settings;
    const std::string& command = options.control_command;
    if (!command.empty()) {
        const char* const other = first_said({{options.batch, "--batch"},
                                              {options.request.has_value(), "a kept run"},
                                              {options.json, "--json"},
                                              {options.status_fd >= 0, "--status-fd"},
                                              {options.trust, "--trust"}});
        if (other != nullptr) return "-O: not with " + std::string(other);
        const bool is_about_ports = command == "forward" || command == "cancel";
        if (is_about_ports && settings.forwards.empty()) {
            return "-O " + command + ": goes with -L or -D";
        }
    }
    return std::nullopt;
}

// Returns the option for which this client forwards nothing; null if there is none.
const char* find_lack_of_forwards(const ClientOptions& options) {
    return first_said({{options.batch, "--batch"},
                       {options.request.has_value(), "a kept run"},
                       {options.detach, "--detach"},
                       {options.soft_timeout.has_value(), "--soft-timeout"},
                       {options.trust, "--trust"},
                       {options.link_frames, "--link"}});
}

// Returns a conflict of -L, -D, -R or -A: they need a command of this client, or -N.
std::optional<std::string> contradiction_of_forwards(const ClientOptions& options) {
    const std::vector<std::string>& forwards = options.settings.forwards;
    const auto agent = options.settings.agent.value_or(AgentForwarding::No);
    if (forwards.empty() && agent == AgentForwarding::No) return std::nullopt;
    const char* const other = find_lack_of_forwards(options);
    if (other == nullptr) return std::nullopt;
    const char option = forwards.empty() ? 'A' : forwards[0][0];
    return std::string{'-', option} + ": not with " + other;
}

}  // namespace

bool may_forward(const ClientOptions& options) {
    return find_lack_of_forwards(options) == nullptr && options.stdio_forward.empty();
}

std::optional<std::string> find_option_conflict(const ClientOptions& options) {
    if (!options.batch) {
        if (options.jobs != 1) return "--jobs: goes with --batch";
        if (options.one_shell) return "--one-shell: goes with --batch";
    } else {
        if (!options.words.empty()) return "--batch: the commands come from stdin, not as words";
        if (options.argv) return "--batch: its lines are for a shell, not --argv";
        if (options.one_shell && options.jobs != 1) return "--one-shell: one run at a time";
    }
    if (options.link_frames) {
        const char* const other = first_said({{options.request.has_value(), "a request about runs"},
                                              {options.json, "--json"},
                                              {options.status_fd >= 0, "--status-fd"},
                                              {!options.wire.empty(), "--wire"}});
        const char* const found = other != nullptr ? other : first_of_a_command(options);
        if (found != nullptr) return std::string("--link: not with ") + found;
    }
    if (auto why = contradiction_of_control(options)) return why;
    if (auto why = contradiction_of_forwards(options)) return why;
    if (auto why = contradiction_of_request(options)) return why;
    if (auto why = contradiction_of_kept(options)) return why;
    if (options.argv && options.subsystem) return "-s: a subsystem is no program, so not --argv";
    if (wants_tty(options)) {
        const char* const why = options.json ? "--json" : options.batch ? "--batch" : nullptr;
        if (why != nullptr) return std::string("-t: a terminal is looked at; not with ") + why;
        if (options.max_output)
            return "-t: nothing is left out on a terminal; not with --max-output";
    }
    if (options.argv && options.words.empty()) return "--argv: no program was named";
    if (options.argv && options.words[0].empty()) return "--argv: the program's name is empty";
    const bool has_work = !options.words.empty() || options.no_command;
    if (options.background && !has_work) {
        return "-f: Cannot fork into background without a command to execute";
    }
    const std::optional<std::string>& user = options.settings.user;
    if (user && !is_safe_user(*user)) {
        return std::string("'").append(escape_controls(*user)).append("': no user has such a name");
    }
    for (const std::string& entry : options.env) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0) {
            return "--env: '" + escape_controls(entry) + "' is not NAME=VALUE";
        }
    }
    return std::nullopt;
}

}  // namespace frsh
