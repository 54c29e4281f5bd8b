// The keys that a login can use: key files, those of ssh-agent, and frsh's own key.
//
// The order is ssh's. If -i names files, only they are used. Otherwise: the files that ssh's
// configuration names, the agent's keys, the usual files, frsh's own key. A signature may need the
// user (passphrase, touch); OnAsking reports that before it blocks. If the agent holds the key of a
// locked file, or the private half of a public key file, the agent signs. A certificate beside a
// key file (KEY-cert.pub), or of CertificateFile, comes before the key alone.
#pragma once

#include "client/cli/route.hpp"
#include "client/connection/ssh_agent.hpp"
#include "common/keys/key_file.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

class Identities {
  public:
    struct Candidate {
        PublicKey key;
        std::string where;  // "ssh-agent" or the file's path, for messages.
        std::optional<Certificate> certificate = {};

        [[nodiscard]] Credential credential() const {
            return certificate ? Credential(*certificate) : Credential(key);
        }
    };
    // Called before the user is asked for a passphrase or a touch.
    using OnAsking = std::function<void()>;

    // If `is_own_server`, only frsh's own key is used (unless -i names others); it is made if it is
    // missing. A server of the same user accepts it without any set-up. Blocks up to two seconds
    // for the agent. Throws UserError for a file that was named (-i) and cannot be read; a named
    // file that does not exist, and any other file, is skipped and reported. The constructor and
    // sign() throw WaitCanceled if `cancel_fd`
    // (-1: none) becomes readable.
    Identities(const LoginKeys& keys, bool is_own_server, int cancel_fd);

    [[nodiscard]] const std::vector<Candidate>& candidates() const { return candidates_; }

    // Returns the first of these candidates, as many as one probe holds: at least one.
    [[nodiscard]] std::vector<Credential> first_of(const std::vector<std::size_t>& indices) const;

    // Returns a signature by candidates()[index]; nothing if the agent or ssh-keygen refuses, and
    // `where` of the candidate then gives the reason.
    [[nodiscard]] std::optional<std::string> sign(std::size_t index, std::string_view name_space,
                                                  std::string_view message,
                                                  const OnAsking& on_asking);

  private:
    struct Source {
        std::shared_ptr<const KeyFile> file;    // Null: the agent.
        std::optional<Credential> listed = {};  // As the agent lists what it signs with.
    };

    [[nodiscard]] static bool is_locked(const Source& source);
    // Returns true for a public key file whose private half no agent has.
    [[nodiscard]] static bool is_half(const Source& source);
    void add_file(const std::string& path, bool is_required);
    // Adds the certificate of a file (CertificateFile), if its key is a candidate.
    void add_certificate(const std::string& path);
    enum class AgentKeys { All, OnlyOfFiles };
    void add_agent(AgentKeys which, const std::optional<std::string>& socket);
    // Removes the keys for which `is_useless` holds, and reports each with the reason.
    void remove(bool (*is_useless)(const Source& source), void (*report)(std::string_view text),
                const char* why);
    // Returns true if the key was added.
    bool add_own(bool make_if_missing);
    std::optional<std::string> sign_with_tool(const KeyFile& file, const PublicKey& key,
                                              std::string_view name_space,
                                              std::string_view message);
    void add(const Credential& credential, std::string where, Source source);

    std::optional<SshAgent> agent_;
    std::vector<Candidate> candidates_;
    std::vector<Source> sources_;  // Parallel to candidates_.
    int cancel_fd_;                // Lent.
};

// Returns "ED25519 SHA256:... (FILE)", for a message.
[[nodiscard]] std::string describe(const Identities::Candidate& candidate);
// Returns "tried: " and all candidates, or "there is none".
[[nodiscard]] std::string describe_all(const Identities& identities);

}  // namespace frsh
