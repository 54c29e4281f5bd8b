#include "client/connection/host_trust.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kFailed = ": Host key verification failed: ";

// Where a key is written down; empty where the user wants that nowhere.
std::string own_file(const ClientOptions& options, const Target& target) {
    if (!options.settings.user_known_hosts) return config_folder() + "/known_hosts";
    if (options.settings.user_known_hosts->empty()) return "";
    const std::string path = expand_path(options.settings.user_known_hosts->front(), target);
    return path == "/dev/null" ? "" : path;
}

std::string name_of(const HostPort& where) {
    return known_host_name(where.host, static_cast<std::uint16_t>(where.port));
}

// As it is typed on a command line.
std::string target_of(const HostPort& where) {
    const bool is_v6 = where.host.find(':') != std::string::npos;
    const std::string host = is_v6 ? "[" + where.host + "]" : where.host;
    return escape_controls(host) + ":" + std::to_string(where.port);
}

std::string describe(const PublicKey& key) {
    return key.type_label() + " " + key.fingerprint();
}

std::optional<PublicKey> find_pin(unsigned port) {
    try {
        const std::string folder = runtime_folder();
        if (!check_private_folder(folder)) return std::nullopt;
        return parse_key_line(read_file(folder + "/" + std::to_string(port) + ".pub", 4096)).key;
    } catch (const std::runtime_error&) {
        return std::nullopt;  // No server of ours, or a folder that proves nothing.
    }
}

void add(const std::string& path, const Target& target, const PublicKey& key) {
    const HostPort& where = target.known_as;
    if (path.empty()) return;
    add_known_host(path, where.host, static_cast<std::uint16_t>(where.port), key);
    log::notice("added " + target_of(where) + " " + describe(key) + " to " + path);
}

// Whoever gave a fingerprint on the command line means that one.
void check_expected(const ClientOptions& options, const HostPort& where, const PublicKey& key) {
    if (options.expected_fingerprint.empty() || options.expected_fingerprint == key.fingerprint()) {
        return;
    }
    throw UserError(target_of(where) + ": has another key than that, " + describe(key));
}

// What is known about host keys here: frsh's own file, ssh's, and for a host of this machine the
// pin that a server of the same user left in the runtime folder. UserKnownHostsFile takes the place
// of all but the last: its first file is frsh's own then, and is read as one of ssh's, too.
HostKeySources host_key_sources(const ClientOptions& options, const Target& target,
                                bool is_loopback) {
    HostKeySources sources{own_file(options, target), {}, std::nullopt};
    const auto add_all = [&](const std::optional<std::vector<std::string>>& said,
                             const std::string& usual) {
        if (!said) sources.ssh.push_back(usual);
        for (const std::string& path : said.value_or(std::vector<std::string>()))
            sources.ssh.push_back(expand_path(path, target));
    };
    add_all(options.settings.user_known_hosts, home_folder() + "/.ssh/known_hosts");
    add_all(options.settings.global_known_hosts, "/etc/ssh/ssh_known_hosts");
    if (is_loopback) sources.pin = find_pin(target.where.port);
    return sources;
}

}  // namespace

Trust judge_host(const ClientOptions& options, const Target& target, bool is_loopback,
                 const PublicKey& key) {
    const HostPort& where = target.known_as;
    const HostKeySources sources = host_key_sources(options, target, is_loopback);
    const HostKeyVerdict verdict =
        judge_host_key(sources, where.host, static_cast<std::uint16_t>(where.port), key);
    const std::string place = verdict.path + ":" + std::to_string(verdict.line);
    const std::string failed = target_of(where) + kFailed;
    check_expected(options, where, key);
    switch (verdict.kind) {
        case HostKeyVerdict::Kind::Known:
            return sources.pin && *sources.pin == key ? Trust::Pinned : Trust::Known;
        case HostKeyVerdict::Kind::Changed:
            throw UserError(failed + "THE HOST KEY HAS CHANGED, or this is another " + "machine: " +
                            place + " has " + verdict.recorded->fingerprint() + ", it proved " +
                            describe(key) + "; if that is expected: ssh-keygen " + "-R " +
                            shell_quote(name_of(where)) + " -f " + shell_quote(sources.own));
        case HostKeyVerdict::Kind::Revoked:
            throw UserError(failed + "its key " + describe(key) + " is revoked (" + place + ")");
        case HostKeyVerdict::Kind::Unknown:
            break;
    }
    const ConnectionSettings& settings = options.settings;
    if (settings.accept_new.value_or(false) || options.trust) {
        add(sources.own, target, key);
        return Trust::Known;
    }
    const bool may_ask =
        !settings.refuse_unknown.value_or(false) && !settings.batch_mode.value_or(false);
    if (may_ask && ::isatty(STDERR_FILENO) == 1) return Trust::Unknown;
    throw UserError(failed + "unknown host, its key is " + describe(key) +
                    "; if that is right: frsh --trust " + target_of(where) + " " +
                    key.fingerprint() + " (or use --accept-new)");
}

void ask_about(const ClientOptions& options, const Target& target, const PublicKey& key) {
    const std::string place = target_of(target.known_as);
    // The terminal itself: stdin is the command's.
    const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    const std::string refusal = place + kFailed + "not trusted, its key is " + describe(key);
    if (!terminal.is_open()) throw UserError(refusal + "; use --trust or --accept-new");
    write_all(terminal.get(), "frsh: " + place + " is not known here; its key is\nfrsh: " +
                                  describe(key) + "\nTrust it from now on? (yes/no/fingerprint) ");
    char answer[256];
    const IoResult got = read_some(terminal.get(), answer, sizeof answer);
    std::string_view words(answer, got.bytes);
    while (!words.empty() && (words.back() == '\n' || words.back() == ' '))
        words.remove_suffix(1);
    if (words != "yes" && words != key.fingerprint()) throw UserError(refusal);
    add(own_file(options, target), target, key);
}

}  // namespace frsh
