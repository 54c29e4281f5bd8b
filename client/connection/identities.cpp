#include "client/connection/identities.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/proof.hpp"
#include "common/keys/sshsig.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kAgentListLimit = 2s;
// Shorter than the 120 s that the server waits for the user's answer.
constexpr auto kAgentSignLimit = 110s;
constexpr int kPassphraseAttempts = 3;

std::string own_key_path() {
    return config_folder() + "/id_ed25519";
}

void make_own(const std::string& path) {
    make_folders(config_folder());
    if (write_key_file(path, PrivateKey::generate_ed25519(), current_user().name + " (frsh)")) {
        log::info("made a key of frsh's own: " + path);
    }
}

// Returns true if ssh-keygen can ask for a passphrase.
bool is_user_there() {
    if (std::getenv("SSH_ASKPASS") != nullptr) return true;
    return Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)).is_open();
}

// Returns the certificate beside a key file, unless it cannot be used.
std::optional<Certificate> read_certificate(const std::string& path, const PublicKey& key) {
    const std::string file = path + "-cert.pub";
    try {
        Certificate certificate = parse_certificate_line(read_file(file, 4 * kMaxCertificate));
        if (certificate.key == key && certificate.kind == Certificate::Kind::User) {
            return certificate;
        }
        log::info(file + ": not a user's certificate of " + path);
    } catch (const SysError&) {
        return std::nullopt;  // Usually there is none.
    } catch (const ProtocolError& error) {
        log::info(file + ": " + error.what());
    }
    return std::nullopt;
}

}  // namespace

std::string describe(const Identities::Candidate& candidate) {
    const std::string kind = candidate.certificate ? "-CERT " : " ";
    return candidate.key.type_label() + kind + candidate.key.fingerprint() + " (" +
           escape_controls(candidate.where) + ")";
}

std::string describe_all(const Identities& identities) {
    std::string tried;
    for (const Identities::Candidate& candidate : identities.candidates())
        tried += (tried.empty() ? "" : ", ") + describe(candidate);
    return tried.empty() ? "there is none" : "tried: " + tried;
}

// Returns true if a signature needs the user: a passphrase, or the touch of a token.
bool Identities::is_locked(const Source& source) {
    return source.file && !source.file->key;
}

bool Identities::is_half(const Source& source) {
    return source.file && source.file->is_public_only;
}

Identities::Identities(const LoginKeys& keys, bool is_own_server, int cancel_fd)
    : cancel_fd_(cancel_fd) {
    for (const std::string& path : keys.named)
        add_file(path, true);
    // As in ssh, the usual keys are tried if none of the named files exists.
    const bool is_named = !candidates_.empty();
    if (!is_named && is_own_server && add_own(true)) return;
    const bool is_files_only = keys.is_files_only && (is_named || keys.named.empty());
    if (!is_named) {
        for (const std::string& path : keys.first)
            add_file(path, false);
        if (!is_files_only) add_agent(AgentKeys::All, keys.agent);
        for (const char* const name : {"id_ed25519", "id_ecdsa", "id_rsa"})
            add_file(home_folder() + "/.ssh/" + name, false);
        (void)add_own(candidates_.empty());
    }
    const bool any_is_locked = std::any_of(sources_.begin(), sources_.end(), is_locked);
    if (is_files_only && any_is_locked) add_agent(AgentKeys::OnlyOfFiles, keys.agent);
    for (const std::string& path : keys.certificates)
        add_certificate(path);
    remove(is_half, is_named ? log::error : log::info,
           "only a public key, and no agent has its private half");
    if (!keys.may_ask) {
        remove(is_locked, log::info, "skipped, because it needs the user (BatchMode)");
    }
}

void Identities::remove(bool (*is_useless)(const Source& source),
                        void (*report)(std::string_view text), const char* why) {
    for (std::size_t i = candidates_.size(); i-- > 0;) {
        if (!is_useless(sources_[i])) continue;
        report(candidates_[i].where + ": " + why);
        const auto at = static_cast<std::ptrdiff_t>(i);
        candidates_.erase(candidates_.begin() + at);
        sources_.erase(sources_.begin() + at);
    }
}

void Identities::add(const Credential& credential, std::string where, Source source) {
    bool is_known = false;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
        is_known = is_known || candidates_[i].credential() == credential;
        // The agent signs with this key, alone or in a certificate, without asking.
        if (candidates_[i].key == credential.key && !source.file && is_locked(sources_[i])) {
            sources_[i] = source;
            candidates_[i].where = where;
        }
    }
    if (is_known) return;
    candidates_.push_back({credential.key, std::move(where), credential.certificate});
    sources_.push_back(std::move(source));
}

std::vector<Credential> Identities::first_of(const std::vector<std::size_t>& indices) const {
    std::vector<Credential> first;
    std::size_t size = 0;
    for (const std::size_t index : indices) {
        Credential one = candidates_[index].credential();
        size += one.blob().size();
        if (first.size() == kMaxProbes || (size > kMaxProbeSize && !first.empty())) break;
        first.push_back(std::move(one));
    }
    return first;
}

void Identities::add_file(const std::string& path, bool is_required) {
    std::optional<KeyFile> file;
    try {
        file = load_key_file(path);
    } catch (const UserError& error) {
        if (is_required) throw;
        log::error(error.what());  // Other keys may still be accepted.
        return;
    } catch (const SysError& error) {
        if (is_required) log::error(std::string("warning: ") + error.what());
        return;
    }
    if (!file) {
        if (is_required) log::error("warning: " + path + ": no such key file");
        return;
    }
    if (!file->public_key) {
        const std::string why = path + ": which key is in it cannot be told without " + path +
                                ".pub (ssh-keygen -y makes it)";
        if (is_required) throw UserError(why);
        log::info(why);
        return;
    }
    const auto shared = std::make_shared<const KeyFile>(std::move(*file));
    const PublicKey& key = *shared->public_key;
    if (auto certificate = read_certificate(path, key)) {
        add(Credential(std::move(*certificate)), path, {shared});
    }
    add(key, path, {shared});
}

// The certificate comes before its key alone, as if it lay beside the key's file.
void Identities::add_certificate(const std::string& path) {
    try {
        const Certificate certificate =
            parse_certificate_line(read_file(path, 4 * kMaxCertificate));
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            if (candidates_[i].credential() == Credential(certificate)) return;
            if (!(candidates_[i].key == certificate.key) || candidates_[i].certificate) continue;
            const auto at = static_cast<std::ptrdiff_t>(i);
            candidates_.insert(candidates_.begin() + at, {certificate.key, path, certificate});
            const Source of_its_key = sources_[i];
            sources_.insert(sources_.begin() + at, of_its_key);
            return;
        }
        log::info(path + ": no key for this certificate");
    } catch (const SysError& error) {
        log::error(std::string("warning: ") + error.what());
    } catch (const ProtocolError& error) {
        log::error("warning: " + path + ": " + error.what());
    }
}

void Identities::add_agent(AgentKeys which, const std::optional<std::string>& socket) {
    if (socket == "none") return;
    const bool is_usual = !socket || *socket == "SSH_AUTH_SOCK";
    agent_ = is_usual ? SshAgent::connect() : SshAgent::connect(*socket);
    if (!agent_) return;
    for (const SshAgent::Identity& identity :
         agent_->identities({SshAgent::Clock::now() + kAgentListLimit, cancel_fd_})) {
        const bool is_of_a_file =
            std::any_of(candidates_.begin(), candidates_.end(),
                        [&](const Candidate& candidate) { return candidate.key == identity.key; });
        if (which != AgentKeys::All && !is_of_a_file) continue;
        const Credential listed =
            identity.certificate ? Credential(*identity.certificate) : Credential(identity.key);
        add(listed, "ssh-agent", {nullptr, listed});
    }
}

bool Identities::add_own(bool make_if_missing) {
    const std::string path = own_key_path();
    const std::size_t count = candidates_.size();
    if (make_if_missing) {
        try {
            if (::access(path.c_str(), F_OK) == -1) make_own(path);
        } catch (const SysError& error) {
            log::error("warning: " + path + " cannot be made: " + error.what());
            return false;
        }
        // The server reads the .pub file. If another client is making the key at the same moment,
        // the .pub file appears shortly after the key: wait up to one second.
        for (int i = 0; i < 200 && ::access((path + ".pub").c_str(), F_OK) == -1; ++i)
            std::this_thread::sleep_for(5ms);
    }
    add_file(path, false);
    return candidates_.size() > count;
}

// Lets ssh-keygen sign. It asks for a passphrase once and does not name the file, so this names it,
// and asks three times in all, as ssh does.
std::optional<std::string> Identities::sign_with_tool(const KeyFile& file, const PublicKey& key,
                                                      std::string_view name_space,
                                                      std::string_view message) {
    const int attempts = file.needs_passphrase && is_user_there() ? kPassphraseAttempts : 1;
    for (int i = 0; i < attempts; ++i) {
        if (file.needs_passphrase) log::notice("the passphrase of " + file.path + " is needed");
        auto signature = sign_with_ssh_keygen(file.path, name_space, message, key, cancel_fd_);
        if (signature) return signature;
    }
    return std::nullopt;
}

std::optional<std::string> Identities::sign(std::size_t index, std::string_view name_space,
                                            std::string_view message, const OnAsking& on_asking) {
    Candidate& candidate = candidates_[index];
    const auto file = sources_[index].file;
    if (file && file->key) return sign_sshsig(*file->key, name_space, message);
    if (file) {
        on_asking();
        auto signature = sign_with_tool(*file, candidate.key, name_space, message);
        if (!signature) candidate.where += ", which ssh-keygen could not use";
        return signature;
    }
    const auto on_waiting = [&](std::string_view words) {
        on_asking();
        log::notice(words);
    };
    const SshAgent::Result result =
        agent_->sign(*sources_[index].listed, sshsig_signed_data(name_space, message),
                     {SshAgent::Clock::now() + kAgentSignLimit, cancel_fd_}, on_waiting);
    if (result.answer == SshAgent::Answer::Signed) return result.signature;
    const char* const why = result.answer == SshAgent::Answer::Refused    ? "declined to sign"
                            : result.answer == SshAgent::Answer::TimedOut ? "did not answer"
                                                                          : "is gone";
    // Not an error yet: another key may be accepted. If none is, the error names this reason, too.
    log::info("ssh-agent " + std::string(why) + " with " + candidate.key.fingerprint());
    candidate.where.append(", which ").append(why);
    return std::nullopt;
}

}  // namespace frsh
