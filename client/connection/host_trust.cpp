#include "client/connection/host_trust.hpp"

#include "common/base/brackets.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/ssh_key.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"
#include "common/sys/wait.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kFailed = ": Host key verification failed: ";

std::string name_of(const HostPort& where) {
    return known_host_name(where.host, static_cast<std::uint16_t>(where.port));
}

// Returns the place as a user types it on a command line.
std::string target_of(const HostPort& where) {
    return escape_controls(in_brackets(where.host)) + ":" + std::to_string(where.port);
}

std::string describe(const PublicKey& key) {
    return key.type_label() + " " + key.fingerprint();
}

// Returns the key that a server of the same user has recorded in the runtime folder.
std::optional<PublicKey> find_pin(unsigned port) {
    try {
        const std::string folder = runtime_folder();
        if (!check_private_folder(folder)) return std::nullopt;
        return parse_key_line(read_file(folder + "/" + std::to_string(port) + ".pub", 4096)).key;
    } catch (const std::runtime_error&) {
        return std::nullopt;  // No server of this user, or a folder that others can write to.
    }
}

// Adds the key to the policy's own file. If that fails, the connection continues without it, as in
// ssh: a container may have a home that cannot be written. Throws SysError for --trust.
void add(const HostKeyPolicy& policy, const Target& target, const PublicKey& key) {
    const HostPort& where = target.known_as;
    const std::string& path = policy.own_file;
    if (path.empty()) return;
    try {
        add_known_host(path, where.host, static_cast<std::uint16_t>(where.port), key);
    } catch (const SysError& error) {
        if (policy.must_record) throw;
        log::error("warning: " + target_of(where) + " is not added to " + path + ": " +
                   error.what() + "; its key is " + describe(key));
        return;
    }
    log::notice("added " + target_of(where) + " " + describe(key) + " to " + path);
}

// ssh's files name another key for this host. `frsh --trust TARGET FINGERPRINT` overrides them.
void refuse_conflict(const HostKeyPolicy& policy, const HostPort& where,
                     const HostKeyVerdict& verdict, const PublicKey& key) {
    if (!verdict.recorded || !policy.expected_fingerprint.empty()) return;
    throw UserError(target_of(where) + kFailed + "THE HOST KEY HAS CHANGED, or this is another " +
                    "machine or server: ssh knows " + verdict.recorded->fingerprint() + " (" +
                    verdict.path + ":" + std::to_string(verdict.line) + "), it proved " +
                    describe(key) + "; if that is right: frsh --trust " + target_of(where) + " " +
                    key.fingerprint());
}

// Returns a line from the terminal without the blanks at its end; empty at the end of input.
std::string read_answer(const Fd& terminal, int cancel_fd) {
    (void)wait_for_events(terminal.get(), POLLIN, {EventLoop::kNever, cancel_fd});
    char answer[256];
    const IoResult got = read_some(terminal.get(), answer, sizeof answer);
    std::string_view words(answer, got.bytes);
    while (!words.empty() && (words.back() == '\n' || words.back() == ' '))
        words.remove_suffix(1);
    return std::string(words);
}

void check_expected(const HostKeyPolicy& policy, const HostPort& where, const PublicKey& key) {
    if (policy.expected_fingerprint.empty() || policy.expected_fingerprint == key.fingerprint()) {
        return;
    }
    throw UserError(target_of(where) + ": has another key than that, " + describe(key));
}

}  // namespace

Trust judge_host(const HostKeyPolicy& policy, const Target& target, bool is_loopback,
                 const HostProof& proof) {
    const PublicKey& key = proof.key;
    const HostPort& where = target.known_as;
    HostKeySources sources{policy.own_file, policy.other_files, std::nullopt};
    if (is_loopback) sources.pin = find_pin(target.where.port);
    const HostKeyVerdict verdict = judge_host_key(
        sources, where.host, static_cast<std::uint16_t>(where.port), key, proof.certificate);
    if (!verdict.certificate_fault.empty()) log::notice(verdict.certificate_fault);
    const std::string place = verdict.path + ":" + std::to_string(verdict.line);
    const std::string failed = target_of(where) + kFailed;
    check_expected(policy, where, key);
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
    using UnknownHost = HostKeyPolicy::UnknownHost;
    if (policy.unknown_host == UnknownHost::Trust) {
        refuse_conflict(policy, where, verdict, key);
        add(policy, target, key);
        return Trust::Known;
    }
    if (policy.unknown_host == UnknownHost::Ask && ::isatty(STDERR_FILENO) == 1) {
        if (verdict.recorded) log::error("warning: ssh knows another key of this host: " + place);
        return Trust::Unknown;
    }
    throw UserError(failed + "unknown host, its key is " + describe(key) +
                    "; if that is right: frsh --trust " + target_of(where) + " " +
                    key.fingerprint() + " (or use --accept-new)");
}

void ask_about(const HostKeyPolicy& policy, const Target& target, const PublicKey& key,
               int cancel_fd) {
    const std::string place = target_of(target.known_as);
    // Not stdin, which belongs to the command.
    const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    const std::string refusal = place + kFailed + "not trusted, its key is " + describe(key);
    if (!terminal.is_open()) throw UserError(refusal + "; use --trust or --accept-new");
    write_all(terminal.get(), "frsh: " + place + " is not known here; its key is\nfrsh: " +
                                  describe(key) + "\nTrust it from now on? (yes/no/fingerprint) ");
    for (;;) {
        const std::string answer = read_answer(terminal, cancel_fd);
        const std::string word = to_lower(answer);
        if (word == "yes" || answer == key.fingerprint()) return add(policy, target, key);
        if (word.empty() || word == "no") throw UserError(refusal);
        write_all(terminal.get(), "Please type 'yes', 'no' or the fingerprint: ");
    }
}

}  // namespace frsh
