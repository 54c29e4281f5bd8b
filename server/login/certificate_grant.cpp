#include "server/login/certificate_grant.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <optional>

namespace frsh {
namespace {

// Compares each principal with each word of the list, as text.
bool matches_principals(const Certificate& certificate, const std::string& list) {
    const auto words = split(list, ',');
    return std::any_of(certificate.principals.begin(), certificate.principals.end(),
                       [&](const std::string& principal) {
                           return std::find(words.begin(), words.end(), principal) != words.end();
                       });
}

}  // namespace

std::variant<AuthorizedKey, std::string> apply_certificate(const AuthorizedKey& line,
                                                           const Certificate& certificate,
                                                           const CertificateSubject& subject,
                                                           NoPrincipals rule) {
    const auto refuse = [&](const std::string& why) { return certificate.describe() + ": " + why; };
    if (const auto why = find_fault(certificate, Certificate::Kind::User, subject.now)) {
        return refuse(*why);
    }
    const bool is_named = line.principals ? matches_principals(certificate, *line.principals)
                                          : names_principal(certificate, subject.user, rule);
    if (!is_named) return refuse("it is for other principals");
    if (!permits_address(certificate, subject.address)) return refuse("it is not for this address");
    AuthorizedKey both = line;
    both.key = certificate.key;
    if (certificate.force_command) {
        if (line.command && *line.command != *certificate.force_command) {
            return refuse("it and the line force different commands");
        }
        both.command = certificate.force_command;
    }
    both.may_have_pty = line.may_have_pty && certificate.permits_pty;
    if (!certificate.permits_forwarding) both.may_forward = false;
    if (!certificate.permits_agent) both.may_forward_agent = false;
    if (certificate.is_verify_required) both.presence = Presence::Verified;
    return both;
}

}  // namespace frsh
