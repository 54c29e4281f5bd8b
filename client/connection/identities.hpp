// The keys that we could log in with, wherever they are: files, ssh-agent, and one of our own.
//
// The order is ssh's: what was named with -i, and nothing else then; what ssh's configuration
// names; the agent's; the usual files; frsh's own. Making a signature can mean asking a person, so
// a signer says so before it waits; and where the agent holds the key of a locked file, it signs.
#pragma once

#include "client/cli/target.hpp"
#include "client/connection/ssh_agent.hpp"
#include "common/keys/key_file.hpp"

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
        std::string where;  // "ssh-agent", or the file's path: for people.
    };
    // Called when somebody has to be asked before there is a signature.
    using OnAsking = std::function<void()>;

    // `is_own_server` puts frsh's own key first, and makes it where there is none: the server of
    // the same user takes it without any set-up. Throws UserError for a file that was named (-i)
    // and cannot be used; others are passed over, with a word.
    Identities(const ConnectionSettings& settings, const Target& target, bool is_own_server);

    [[nodiscard]] const std::vector<Candidate>& candidates() const { return candidates_; }

    // Of candidates()[index]; nothing where its holder refuses, which its `where` then says.
    [[nodiscard]] std::optional<std::string> sign(std::size_t index, std::string_view name_space,
                                                  std::string_view message,
                                                  const OnAsking& on_asking);

  private:
    struct Source {
        std::optional<KeyFile> file;  // Else the agent.
    };

    [[nodiscard]] static bool is_locked(const Source& source);
    void add_file(const std::string& path, bool is_required);
    enum class Whose { All, OfOurFiles };
    void add_agent(Whose whose, const std::string& socket);
    // What would have to ask somebody, where nobody can be asked.
    void leave_out_locked();
    void add_own(bool make);
    void add(PublicKey key, std::string where, Source source);

    std::optional<SshAgent> agent_;
    std::vector<Candidate> candidates_;
    std::vector<Source> sources_;  // Of the same index.
};

// Which key worked where, so that the next login tries it first: a file of lines
// "[host]:port USER FINGERPRINT" in ~/.local/state/frsh. Losing it costs a round trip.
[[nodiscard]] std::string recall_key(const std::string& host, const std::string& user);
void remember_key(const std::string& host, const std::string& user, const std::string& fingerprint);

}  // namespace frsh
