#include "client/run/run_request.hpp"

#include "client/run/remote_run.hpp"
#include "client/run/run_record.hpp"
#include "common/base/error.hpp"
#include "common/keys/host_pattern.hpp"

#include <cstdint>
#include <string_view>
#include <utility>

extern char** environ;

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kDefaultLinger = 2s;
constexpr std::uint64_t kJsonMaxOutput = 16 * 1024 * 1024;

std::string_view name_of(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

// Returns true for the variables that every server accepts and for those that match SendEnv; false
// for those that match a pattern of SendEnv with a dash in front.
// As with ssh, GIT_PROTOCOL is sent only if SendEnv names it: git does.
bool is_to_be_sent(std::string_view name, const std::vector<std::string>& patterns) {
    bool is_sent = is_forwardable(name) && name != "GIT_PROTOCOL";
    for (const std::string& pattern : patterns) {
        if (pattern.starts_with('-')) {
            if (matches_pattern(name, std::string_view(pattern).substr(1))) is_sent = false;
        } else if (matches_pattern(name, pattern)) {
            is_sent = true;
        }
    }
    return is_sent;
}

void add_environment(const ClientOptions& options, msg::Open& open) {
    open.env = options.env;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (is_to_be_sent(name_of(*entry), options.send_env)) open.forwarded.emplace_back(*entry);
    }
    for (const std::string& entry : options.set_env) {
        // A key with a command= of its own gets the same variables as any other.
        (is_forwardable(name_of(entry)) ? open.forwarded : open.env).push_back(entry);
    }
}

void check_strings(const msg::Open& open) {
    std::size_t total = 0;
    for (const auto* const strings : {&open.args, &open.env, &open.forwarded}) {
        for (const std::string& text : *strings) {
            if (text.find('\0') != std::string::npos) {
                throw UserError("command: has a NUL byte in it, which no program can be given");
            }
            total += text.size() + 1;
        }
    }
    if (total > kMaxCommand - 64 * 1024) throw UserError("command: above 8 MiB");
}

}  // namespace

msg::Open open_for(const ClientOptions& options, std::vector<std::string> words) {
    msg::Open open;
    open.run = options.run_id.empty() ? new_run_id() : options.run_id;
    open.kept = is_kept(options);
    open.shell_name = options.shell_name;
    if (options.argv) {
        open.mode = msg::Open::Mode::Argv;
        open.args = std::move(words);
    } else if (options.subsystem) {
        open.mode = msg::Open::Mode::Subsystem;
        open.args = {join_words(words)};
    } else {
        const std::string command = join_words(words);
        open.mode = command.empty() ? msg::Open::Mode::Login : msg::Open::Mode::Command;
        if (!command.empty()) open.args = {command};
    }
    // Only a shell that runs a command has the choice.
    const bool is_shell_command =
        open.mode == msg::Open::Mode::Command || open.mode == msg::Open::Mode::Subsystem;
    open.bashrc = is_shell_command && options.settings.bashrc.value_or(false);
    open.cwd = options.cwd;
    add_environment(options, open);
    open.stdin_null = options.stdin_null || options.detach;
    open.timeout = options.timeout;
    open.idle_timeout = options.idle_timeout;
    open.linger = kDefaultLinger;
    if (options.settings.linger) open.linger = options.settings.linger->time;
    open.max_output = options.max_output;
    open.on_disconnect = on_disconnect_of(options);
    if (options.json && !open.max_output) open.max_output = kJsonMaxOutput;
    check_strings(open);
    return open;
}

msg::Attach attach_for(const ClientOptions& options) {
    msg::Attach attach;
    attach.run = options.request->run;
    const bool only_waits = is_request(options, KeptRequest::Kind::Wait);
    const KeptFrom from = only_waits ? KeptFrom{{}, {}} : options.from.value_or(KeptFrom());
    attach.out = from.out;
    attach.err = from.err;
    attach.follow = !is_request(options, KeptRequest::Kind::Logs);
    return attach;
}

}  // namespace frsh
