// What a certificate opens: an entry of authorized_keys with `cert-authority`, or an account by a
// certificate authority that the server trusts for all of them.
#pragma once

#include "common/keys/ssh_certificate.hpp"
#include "server/login/authorized_keys.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace frsh {

struct CertificateSubject {
    std::string_view user;
    std::string_view address;  // Numeric; empty for a peer without one.
    CertificateTime now = 0;
};

// Returns the conditions of the line and of the certificate together, for the certified key; or why
// the certificate does not fit. The caller has compared the authority. Without `principals` in the
// line, the certificate must name the user; `rule` decides about one that names no user.
[[nodiscard]] std::variant<AuthorizedKey, std::string> apply_certificate(
    const AuthorizedKey& line, const Certificate& certificate, const CertificateSubject& subject,
    NoPrincipals rule);

}  // namespace frsh
