#include "server/login/login_rules.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/fd.hpp"
#include "server/login/authorized_principals.hpp"
#include "server/login/certificate_grant.hpp"
#include "server/login/revoked_keys.hpp"
#include "server/login/sshd_key_rules.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <variant>

#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxAuthorities = std::size_t{1} << 20;

// Leaves the places that the server's list has, too. An empty list of the key means every place.
void narrow_places(std::vector<std::string>& places, const std::optional<SshdPolicy::List>& all,
                   bool& is_closed) {
    if (!all || is_closed) return;
    if (places.empty()) {
        places = *all;
    } else {
        std::erase_if(places, [&](const std::string& place) {
            return std::find(all->begin(), all->end(), place) == all->end();
        });
    }
    is_closed = places.empty();
}

bool is_listed_authority(const std::string& path, const Certificate& certificate) {
    try {
        const auto verdict =
            find_in_key_list(read_file(path, kMaxAuthorities), certificate.authority);
        if (verdict.kind == KeyListVerdict::Kind::Broken) {
            log::error(path + ":" + std::to_string(verdict.line) +
                       ": no key; no later line counts");
        }
        return verdict.kind == KeyListVerdict::Kind::Listed;
    } catch (const SysError& error) {
        log::error(std::string("certificate authorities: ") + error.what());
        return false;
    }
}

// Returns an entry with the options of the line that names a principal of the certificate; or why
// there is none.
std::variant<AuthorizedKey, std::string> find_listed_principal(const User& user,
                                                               const SshdPolicy& policy,
                                                               const Certificate& certificate) {
    if (policy.principals_file) {
        const auto path = expand_file_name(*policy.principals_file, user);
        if (!path) return "AuthorizedPrincipalsFile has an unknown token (sshd_config)";
        const auto text = read_as_user(user, *path);
        if (auto entry = text ? find_principal(*text, certificate) : std::nullopt) return *entry;
    }
    if (policy.has_principals_command) {
        return "AuthorizedPrincipalsCommand is set, which frshd does not run (sshd_config)";
    }
    return "AuthorizedPrincipalsFile has none of its principals (sshd_config)";
}

}  // namespace

void narrow(Grant& grant, const SshdPolicy& sshd) {
    AuthorizedKey& key = grant.key;
    key.may_have_pty = key.may_have_pty && sshd.may_have_pty;
    // From here on only these two decide: a list or a command of sshd's opens nothing.
    key.is_connecting_closed = !key.may_connect() || !sshd.may_connect;
    key.is_listening_closed = !key.may_listen() || !sshd.may_listen;
    key.is_agent_closed = !key.may_have_agent() || !sshd.may_have_agent;
    key.may_forward = true;
    key.may_forward_agent = true;
    narrow_places(key.permit_open, sshd.permit_open, key.is_connecting_closed);
    narrow_places(key.permit_listen, sshd.permit_listen, key.is_listening_closed);
    if (sshd.force_command) {
        key.command = sshd.force_command;
        grant.where += " (ForceCommand of sshd_config)";
    }
}

const SshdAnswer& LoginRules::sshd_answer(const User& user) {
    if (!asked_ || asked_->first != user.name) {
        const bool is_asked = ::geteuid() == 0 && policy_.sshd != SshdPolicyMode::Ignore;
        asked_.emplace(user.name, is_asked ? ask_sshd(user, connection_, host_key_) : SshdAnswer{});
    }
    return asked_->second;
}

std::optional<std::string> LoginRules::find_revocation_of(const Credential& credential,
                                                          const SshdAnswer& sshd) const {
    if (!policy_.revoked_keys.empty()) {
        if (auto why = find_revocation(policy_.revoked_keys, credential)) return why;
    }
    if (sshd.policy && sshd.policy->revoked_keys) {
        return find_revocation(*sshd.policy->revoked_keys, credential);
    }
    return std::nullopt;
}

std::optional<Grant> LoginRules::find_by_authority(const User& user, const Credential& credential) {
    if (!credential.certificate) return std::nullopt;
    const SshdAnswer& sshd = sshd_answer(user);
    std::vector<std::string> paths;
    if (!policy_.trusted_user_ca_keys.empty()) paths.push_back(policy_.trusted_user_ca_keys);
    if (sshd.policy && sshd.policy->trusted_user_ca_keys) {
        paths.push_back(*sshd.policy->trusted_user_ca_keys);
    }
    for (const std::string& path : paths) {
        if (is_listed_authority(path, *credential.certificate)) {
            return judge_certificate(user, credential, path);
        }
    }
    return std::nullopt;
}

std::optional<Grant> LoginRules::judge_certificate(const User& user, const Credential& credential,
                                                   const std::string& path) {
    const Certificate& certificate = *credential.certificate;
    const SshdAnswer& sshd = sshd_answer(user);
    AuthorizedKey line{credential.key, "", 0, {}, true, {}, {}, {}, Presence::Touched, {}, {}, {}};
    if (sshd.policy && (sshd.policy->principals_file || sshd.policy->has_principals_command)) {
        auto listed = find_listed_principal(user, *sshd.policy, certificate);
        if (const auto* const why = std::get_if<std::string>(&listed)) {
            left_out_ = certificate.describe() + ": " + *why;
            return std::nullopt;
        }
        line = std::move(std::get<AuthorizedKey>(listed));
        if (auto why =
                frsh::find_refusal(line, connection_.address, std::chrono::system_clock::now())) {
            left_out_ = std::move(*why);
            return std::nullopt;
        }
    }
    const CertificateSubject subject{user.name, connection_.address, certificate_time_now()};
    auto applied = apply_certificate(line, certificate, subject, NoPrincipals::MatchNone);
    if (const auto* const why = std::get_if<std::string>(&applied)) {
        left_out_ = *why;
        return std::nullopt;
    }
    return Grant{std::move(std::get<AuthorizedKey>(applied)), path + ", " + certificate.describe()};
}

std::optional<std::string> LoginRules::find_exclusion(const Credential& credential,
                                                      const SshdAnswer& sshd) const {
    if (sshd.policy) {
        if (auto why = find_key_refusal(*sshd.policy, credential)) return why;
    }
    return find_revocation_of(credential, sshd);
}

std::optional<FoundGrant> LoginRules::find(const User& user,
                                           const std::vector<Credential>& offered) {
    const SshdAnswer& sshd = sshd_answer(user);
    std::vector<Credential> usable;
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        if (auto why = find_exclusion(offered[i], sshd)) {
            log::notice(offered[i].fingerprint() + ": " + *why);
            left_out_ = std::move(*why);
            continue;
        }
        usable.push_back(offered[i]);
        indices.push_back(i);
    }
    if (usable.empty()) return std::nullopt;
    KeySearch search{connection_.address, std::nullopt};
    if (sshd.policy && !sshd.policy->authorized_keys_files.empty()) {
        search.files = expand_key_files(*sshd.policy, user);
    }
    // The account's own lines come first, as in sshd: they may restrict what an authority opens.
    auto found = find_grant(user, usable, search);
    for (std::size_t i = 0; i < (found ? found->index : usable.size()); ++i) {
        if (auto grant = find_by_authority(user, usable[i])) {
            found = FoundGrant{i, std::move(*grant)};
        }
    }
    if (!found) {
        if (left_out_.empty() && sshd.policy && sshd.policy->has_keys_command) {
            left_out_ = "the key is not authorized; frshd does not run AuthorizedKeysCommand";
        }
        return std::nullopt;
    }
    found->index = indices[found->index];
    if (sshd.policy && sshd.policy->is_verify_required) {
        found->grant.key.presence = Presence::Verified;
    }
    return found;
}

std::optional<std::string> LoginRules::find_refusal(const User& user, Grant& grant) {
    if (auto why = find_account_refusal(user, policy_)) return why;
    const SshdAnswer& sshd = sshd_answer(user);
    if (sshd.failure) return sshd.failure;
    if (!sshd.policy) return std::nullopt;
    const SshdSubject subject{user.name,
                              user.uid == 0,
                              groups_of(user),
                              connection_.address,
                              grant.key.command.has_value(),
                              sshd.policy->host};
    if (auto why = find_sshd_refusal(*sshd.policy, subject, policy_.sshd)) return why;
    narrow(grant, *sshd.policy);
    return std::nullopt;
}

}  // namespace frsh
