#include "client/cli/ssh_answer.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/cli/option_conflicts.hpp"
#include "client/cli/ssh_config.hpp"
#include "client/cli/ssh_keyword_lists.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace frsh {
namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// ssh has replaced all tokens already, so a "%" that is left stands for itself.
std::string as_literal(const std::string& value) {
    std::string literal;
    for (const char c : value)
        literal += c == '%' ? std::string("%%") : std::string(1, c);
    return literal;
}

bool is_usual_key(std::string_view path) {
    return path.starts_with("~/.ssh/id_") &&
           is_one_of(path.substr(10),
                     {"rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss"});
}

// ssh has acted on these, or they concern only how ssh reads its files.
bool is_done_by_ssh(std::string_view keyword) {
    return is_one_of(keyword, {"host", "port", "canonicalizehostname", "canonicaldomains",
                               "canonicalizefallbacklocal", "canonicalizemaxdots",
                               "canonicalizepermittedcnames", "ignoreunknown", "tag"});
}

// `ssh -G` prints one value without quotes; only these have several. A forwarding has two parts.
std::string as_keyword_line(const std::string& keyword, const std::string& value) {
    if (is_one_of(keyword, {"userknownhostsfile", "globalknownhostsfile", "sendenv", "proxycommand",
                            "remotecommand", "localcommand", "knownhostscommand", "localforward",
                            "remoteforward", "dynamicforward"})) {
        return keyword + " " + value;
    }
    std::string line = keyword + " \"";
    for (const char c : value) {
        if (c == '"' || c == '\\') line += '\\';
        line += c;
    }
    return line + "\"";
}

class AnswerReader {
  public:
    SshAnswer read(std::string_view text) {
        for (const std::string_view line : split(text, '\n')) {
            const SshLine parsed = parse_ssh_line(line);
            if (!parsed.rest.empty()) take(parsed.keyword, std::string(parsed.rest));
        }
        // frsh stays in the foreground and runs its command, whatever the file says.
        if (answer_.options.no_command || answer_.options.subsystem) {
            note("sessiontype", "only the options -N and -s are obeyed", true);
        }
        if (answer_.options.background) {
            note("forkafterauthentication", "only the option -f is obeyed", true);
        }
        if (keywords_.clears_forwardings) answer_.options.settings.clear_forwardings = true;
        // A jump host of ssh's configuration has an sshd, and perhaps a frshd, too.
        if (auto& jump = answer_.options.settings.jump) jump->may_be_sshd = true;
        return std::move(answer_);
    }

  private:
    void take(const std::string& keyword, const std::string& value) {
        ConnectionSettings& settings = answer_.options.settings;
        if (is_done_by_ssh(keyword)) return;
        if (keyword == "hostname") {
            settings.address = as_literal(value);
        } else if (keyword == "user") {
            settings.user = value;
        } else if (keyword == "identityfile") {
            if (!is_usual_key(value) && value != "none") settings.first_identities.push_back(value);
        } else if (keyword == "setenv") {
            answer_.options.set_env.push_back(value);
        } else if (is_without_effect(keyword)) {
            note(keyword, "has no meaning for frsh", false);
        } else {
            set(keyword, value);
        }
    }

    void set(const std::string& keyword, const std::string& value) {
        const auto why = keywords_.set(as_keyword_line(keyword, value));
        const bool is_known = !why || why->find("Bad configuration option") == std::string::npos;
        if (why) {
            const std::size_t colon = why->find(": ");
            note(keyword, is_known ? why->substr(colon + 2) : "is not known to frsh", is_known);
        }
    }

    void note(const std::string& keyword, std::string why, bool matters) {
        const std::string name = spelling_of(keyword);
        for (const SshAnswer::Note& one : answer_.notes) {
            if (one.keyword == name) return;
        }
        answer_.notes.push_back({name, std::move(why), matters});
    }

    SshAnswer answer_;
    SshKeywords keywords_{answer_.options};
};

// RequestTTY and RemoteCommand of a file apply where the command line has nothing against them.
template <typename Change>
void change_if_allowed(ClientOptions& options, const char* keyword, const Change& change) {
    ClientOptions changed = options;
    change(changed);
    if (const auto why = find_option_conflict(changed)) {
        log::info(std::string("ssh_config: ") + keyword + ": not acted on (" + *why + ")");
        return;
    }
    options = std::move(changed);
}

// As ssh, adds the forwardings of the file to those of the command line.
void add_forwards(std::vector<std::string>& forwards, const std::vector<std::string>& more) {
    for (const std::string& text : more) {
        const auto parsed = parse_forward(text);
        const bool is_there =
            std::any_of(forwards.begin(), forwards.end(),
                        [&](const std::string& other) { return parse_forward(other) == parsed; });
        if (!is_there) forwards.push_back(text);
    }
}

void take_command(std::string command, ClientOptions& options) {
    const bool has_other = !options.words.empty() || options.subsystem;
    if (has_other && options.is_called_ssh) {
        throw UserError("Cannot execute command-line and remote command");
    }
    if (has_other || options.no_command || options.batch || options.request || options.trust) {
        log::info("ssh_config: RemoteCommand: not acted on (the command line has its own)");
        return;
    }
    change_if_allowed(options, "RemoteCommand",
                      [&](ClientOptions& changed) { changed.words = {std::move(command)}; });
}

}  // namespace

SshAnswer parse_ssh_answer(std::string_view text) {
    return AnswerReader().read(text);
}

void apply_ssh_answer(SshAnswer answer, ClientOptions& options) {
    SshOptions& said = answer.options;
    const ClientOptions usual;
    if (said.log_level && options.log_level == usual.log_level) {
        options.log_level = *said.log_level;
        log::set_level(options.log_level);
    }
    for (const SshAnswer::Note& note : answer.notes) {
        const std::string text =
            "ssh_config: " + note.keyword + ": not acted on (" + note.why + ")";
        note.matters ? log::notice(text) : log::info(text);
    }
    if (!options.is_called_ssh) {
        if (said.settings.control_master.value_or(false)) {
            log::info("ssh_config: ControlMaster: not acted on (--share and -S are)");
        }
        said.settings.control_master.reset();
        said.settings.control_path.reset();
    }
    if (said.settings.control_path)
        *said.settings.control_path = as_literal(*said.settings.control_path);
    add_forwards(options.settings.forwards, std::exchange(said.settings.forwards, {}));
    fill_in(options.settings, said.settings);
    if (said.escape && options.escape == usual.escape) options.escape = *said.escape;
    if (said.stdin_null.value_or(false)) options.stdin_null = true;
    options.send_env.insert(options.send_env.end(), said.send_env.begin(), said.send_env.end());
    if (options.set_env.empty()) options.set_env = std::move(said.set_env);
    if (said.permits_local_command.value_or(false) && !options.local_command) {
        options.local_command = std::move(said.local_command);
    }
    if (said.remote_command) take_command(std::move(*said.remote_command), options);
    if (said.tty && options.tty == Tty::Automatic) {
        change_if_allowed(options, "RequestTTY",
                          [&](ClientOptions& changed) { changed.tty = *said.tty; });
    }
}

}  // namespace frsh
