#include "server/login/login_rules.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/fd.hpp"
#include "server/login/certificate_grant.hpp"
#include "server/login/revoked_keys.hpp"

#include <algorithm>
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

}  // namespace

void narrow(Grant& grant, const SshdPolicy& sshd) {
    AuthorizedKey& key = grant.key;
    key.may_have_pty = key.may_have_pty && sshd.may_have_pty;
    // From here on only these two decide: a list or a command of sshd's opens nothing.
    key.is_connecting_closed = !key.may_connect() || !sshd.may_connect;
    key.is_listening_closed = !key.may_listen() || !sshd.may_listen;
    key.may_forward = true;
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
        asked_.emplace(user.name, is_asked ? ask_sshd(user, address_, host_key_) : SshdAnswer{});
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
    const std::string& path = policy_.trusted_user_ca_keys;
    if (path.empty() || !credential.certificate) return std::nullopt;
    const Certificate& certificate = *credential.certificate;
    std::string content;
    try {
        content = read_file(path, kMaxAuthorities);
    } catch (const SysError& error) {
        log::error(std::string("trusted_user_ca_keys: ") + error.what());
        return std::nullopt;
    }
    if (!is_in_key_list(content, certificate.authority)) return std::nullopt;
    const SshdAnswer& sshd = sshd_answer(user);
    if (sshd.policy && sshd.policy->principals_source) {
        left_out_ =
            *sshd.policy->principals_source + " is set, which frshd does not support (sshd_config)";
        return std::nullopt;
    }
    const AuthorizedKey line{credential.key,    "", 0,  {}, true, {}, {}, {},
                             Presence::Touched, {}, {}, {}};
    auto applied = apply_certificate(
        line, certificate, {user.name, address_, certificate_time_now()}, NoPrincipals::MatchNone);
    if (const auto* const why = std::get_if<std::string>(&applied)) {
        left_out_ = *why;
        return std::nullopt;
    }
    return Grant{std::move(std::get<AuthorizedKey>(applied)), path + ", " + certificate.describe()};
}

std::optional<FoundGrant> LoginRules::find(const User& user,
                                           const std::vector<Credential>& offered) {
    const SshdAnswer& sshd = sshd_answer(user);
    std::vector<Credential> usable;
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        if (auto why = find_revocation_of(offered[i], sshd)) {
            log::notice(offered[i].fingerprint() + ": " + *why);
            left_out_ = std::move(*why);
            continue;
        }
        if (auto grant = find_by_authority(user, offered[i])) return FoundGrant{i, *grant};
        usable.push_back(offered[i]);
        indices.push_back(i);
    }
    if (usable.empty()) return std::nullopt;
    KeySearch search{address_, std::nullopt};
    if (sshd.policy && !sshd.policy->authorized_keys_files.empty()) {
        search.files = expand_key_files(*sshd.policy, user);
    }
    auto found = find_grant(user, usable, search);
    if (found) found->index = indices[found->index];
    return found;
}

std::optional<std::string> LoginRules::find_refusal(const User& user, Grant& grant) {
    if (auto why = find_account_refusal(user, policy_)) return why;
    const SshdAnswer& sshd = sshd_answer(user);
    if (sshd.failure) return sshd.failure;
    if (!sshd.policy) return std::nullopt;
    const SshdSubject subject{user.name, user.uid == 0, groups_of(user), address_,
                              grant.key.command.has_value()};
    if (auto why = find_sshd_refusal(*sshd.policy, subject, policy_.sshd)) return why;
    narrow(grant, *sshd.policy);
    return std::nullopt;
}

}  // namespace frsh
