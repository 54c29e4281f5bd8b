#include "client/connection/identities.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/sshsig.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kAgentListLimit = 2s;
// Shorter than the 120 s that the server waits for the user's answer.
constexpr auto kAgentSignLimit = 110s;
constexpr std::size_t kMaxMemory = std::size_t{256} * 1024;
constexpr std::size_t kMaxRemembered = 500;

std::string own_key_path() {
    return config_folder() + "/id_ed25519";
}

void make_own(const std::string& path) {
    make_folders(config_folder());
    if (write_key_file(path, PrivateKey::generate_ed25519(), current_user().name + " (frsh)")) {
        log::info("made a key of frsh's own: " + path);
    }
}

std::string memory_folder() {
    return state_folder(home_folder());
}

std::vector<std::string> read_memory() {
    std::vector<std::string> lines;
    try {
        const std::string content = read_file(memory_folder() + "/keys", kMaxMemory);
        for (const std::string_view line : split(content, '\n')) {
            if (!line.empty()) lines.emplace_back(line);
        }
    } catch (const SysError&) {
        lines.clear();  // The file does not exist yet, or cannot be read.
    }
    return lines;
}

}  // namespace

// Returns true if a signature needs the user: a passphrase, or the touch of a token.
bool Identities::is_locked(const Source& source) {
    return source.file && !source.file->key;
}

Identities::Identities(const LoginKeys& keys, bool is_own_server, int cancel_fd)
    : cancel_fd_(cancel_fd) {
    const bool is_named = !keys.named.empty();
    for (const std::string& path : keys.named)
        add_file(path, true);
    if (!is_named && is_own_server) {
        add_own(true);
        return;
    }
    if (!is_named) {
        for (const std::string& path : keys.first)
            add_file(path, false);
        if (!keys.is_files_only) add_agent(AgentKeys::All, keys.agent);
        for (const char* const name : {"id_ed25519", "id_ecdsa", "id_rsa"})
            add_file(home_folder() + "/.ssh/" + name, false);
        add_own(candidates_.empty());
    }
    const bool any_is_locked = std::any_of(sources_.begin(), sources_.end(), is_locked);
    if (keys.is_files_only && any_is_locked) add_agent(AgentKeys::OnlyOfFiles, keys.agent);
    if (!keys.may_ask) remove_locked();
}

void Identities::remove_locked() {
    for (std::size_t i = candidates_.size(); i-- > 0;) {
        if (!is_locked(sources_[i])) continue;
        log::info(candidates_[i].where + ": skipped, because it needs the user (BatchMode)");
        const auto at = static_cast<std::ptrdiff_t>(i);
        candidates_.erase(candidates_.begin() + at);
        sources_.erase(sources_.begin() + at);
    }
}

void Identities::add(PublicKey key, std::string where, Source source) {
    const auto known =
        std::find_if(candidates_.begin(), candidates_.end(),
                     [&](const Candidate& candidate) { return candidate.key == key; });
    if (known != candidates_.end()) {
        Source& old = sources_[static_cast<std::size_t>(known - candidates_.begin())];
        if (source.file || !is_locked(old)) return;
        old = std::move(source);
        known->where = std::move(where);
        return;
    }
    candidates_.push_back({std::move(key), std::move(where)});
    sources_.push_back(std::move(source));
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
        if (is_required) throw UserError(error.what());
        return;
    }
    if (!file) {
        if (is_required) throw UserError(path + ": no such key file");
        return;
    }
    if (!file->public_key) {
        const std::string why = path + ": which key is in it cannot be told without " + path +
                                ".pub (ssh-keygen -y makes it)";
        if (is_required) throw UserError(why);
        log::info(why);
        return;
    }
    PublicKey key = *file->public_key;
    add(std::move(key), path, {std::move(file)});
}

void Identities::add_agent(AgentKeys which, const std::optional<std::string>& socket) {
    if (socket == "none") return;
    const bool is_usual = !socket || *socket == "SSH_AUTH_SOCK";
    agent_ = is_usual ? SshAgent::connect() : SshAgent::connect(*socket);
    if (!agent_) return;
    for (SshAgent::Identity& identity :
         agent_->identities({SshAgent::Clock::now() + kAgentListLimit, cancel_fd_})) {
        const bool is_of_a_file =
            std::any_of(candidates_.begin(), candidates_.end(),
                        [&](const Candidate& candidate) { return candidate.key == identity.key; });
        if (which == AgentKeys::All || is_of_a_file) add(std::move(identity.key), "ssh-agent", {});
    }
}

void Identities::add_own(bool make_if_missing) {
    const std::string path = own_key_path();
    if (make_if_missing) {
        if (::access(path.c_str(), F_OK) == -1) make_own(path);
        // The server reads the .pub file. If another client is making the key at the same moment,
        // the .pub file appears shortly after the key: wait up to one second.
        for (int i = 0; i < 200 && ::access((path + ".pub").c_str(), F_OK) == -1; ++i)
            std::this_thread::sleep_for(5ms);
    }
    add_file(path, false);
}

std::optional<std::string> Identities::sign(std::size_t index, std::string_view name_space,
                                            std::string_view message, const OnAsking& on_asking) {
    Candidate& candidate = candidates_[index];
    const std::optional<KeyFile>& file = sources_[index].file;
    if (file && file->key) return sign_sshsig(*file->key, name_space, message);
    if (file) {
        on_asking();
        return sign_with_ssh_keygen(file->path, name_space, message, candidate.key, cancel_fd_);
    }
    const auto on_waiting = [&](std::string_view words) {
        on_asking();
        log::notice(words);
    };
    const SshAgent::Result result =
        agent_->sign(candidate.key, sshsig_signed_data(name_space, message),
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

std::string recall_key(const std::string& host, const std::string& user) {
    for (const std::string& line : read_memory()) {
        const auto words = split(line, ' ');
        if (words.size() == 3 && words[0] == host && words[1] == user) return std::string(words[2]);
    }
    return "";
}

void remember_key(const std::string& host, const std::string& user,
                  const std::string& fingerprint) {
    const std::string name = host + " " + user + " ";
    std::string text = name + fingerprint + "\n";
    std::size_t count = 1;
    for (const std::string& line : read_memory()) {
        if (!line.starts_with(name) && count++ < kMaxRemembered) text += line + "\n";
    }
    try {
        make_folders(memory_folder());
        const std::string path = memory_folder() + "/keys";
        std::string beside = path + ".new-XXXXXX";
        const Fd file(check(::mkostemp(beside.data(), O_CLOEXEC), "create " + beside));
        write_all(file.get(), text);
        check(::rename(beside.c_str(), path.c_str()), "rename " + beside);
    } catch (const SysError& error) {
        log::info(error.what());  // The login works without the file.
    }
}

}  // namespace frsh
