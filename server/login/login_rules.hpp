// All conditions of one login together: the keys that open the account, what revokes them, which
// certificate authorities count, and what the machine's sshd_config decides.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "common/sys/user.hpp"
#include "server/login/account.hpp"
#include "server/login/sshd_policy.hpp"
#include "server/login/sshd_question.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

// Takes away from the grant what sshd's configuration takes away.
void narrow(Grant& grant, const SshdPolicy& sshd);

class LoginRules {
  public:
    // `host_key` is a path; see ask_sshd().
    LoginRules(AccountPolicy policy, SshdConnection connection, std::string host_key)
        : policy_(std::move(policy)),
          connection_(std::move(connection)),
          host_key_(std::move(host_key)) {}

    // Returns the first of these keys and certificates that opens the account. Blocks for sshd, for
    // ssh-keygen and for the account's files, at most five seconds each.
    [[nodiscard]] std::optional<FoundGrant> find(const User& user,
                                                 const std::vector<Credential>& offered);
    // Returns why the account accepts no login by this grant, or nothing. The grant then has what
    // sshd_config takes away from it.
    [[nodiscard]] std::optional<std::string> find_refusal(const User& user, Grant& grant);
    // Returns why find() left out a key; empty if it left out none. For the log.
    [[nodiscard]] const std::string& left_out() const { return left_out_; }

  private:
    const SshdAnswer& sshd_answer(const User& user);
    [[nodiscard]] std::optional<std::string> find_revocation_of(const Credential& credential,
                                                                const SshdAnswer& sshd) const;
    // Returns why a key or certificate counts for no account.
    [[nodiscard]] std::optional<std::string> find_exclusion(const Credential& credential,
                                                            const SshdAnswer& sshd) const;
    [[nodiscard]] std::optional<Grant> judge_certificate(const User& user,
                                                         const Credential& credential,
                                                         const std::string& path);
    [[nodiscard]] std::optional<Grant> find_by_authority(const User& user,
                                                         const Credential& credential);

    AccountPolicy policy_;
    SshdConnection connection_;
    std::string host_key_;
    std::string left_out_;
    std::optional<std::pair<std::string, SshdAnswer>> asked_;  // The user, and the answer.
};

}  // namespace frsh
