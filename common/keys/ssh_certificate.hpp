// An SSH certificate as a value: parsed strictly, and judged by its authority, time and names
// (OpenSSH's PROTOCOL.certkeys).
//
// Parsing does not verify the authority's signature, which costs time that a stranger could
// request. find_fault() verifies it: call that before anything in the certificate counts.
#pragma once

#include "common/keys/ssh_key.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

inline constexpr std::size_t kMaxCertificate = std::size_t{8} * 1024;

// A moment in seconds since 1970, as certificates have it. The largest value means "for ever".
using CertificateTime = std::uint64_t;
[[nodiscard]] CertificateTime certificate_time_now();

struct Certificate {
    enum class Kind { User, Host };

    // Throws ProtocolError: unknown type, malformed fields, trailing bytes.
    static Certificate from_blob(std::string_view blob);
    // Parses "type base64", without comment.
    static Certificate from_text(std::string_view text);

    std::string blob;
    PublicKey key;  // The key that is certified. Its owner signs with it.
    Kind kind = Kind::User;
    std::uint64_t serial = 0;
    std::string id;                       // For logs; printable only after escape_controls().
    std::vector<std::string> principals;  // Users or hosts; empty: all of them.
    CertificateTime valid_after = 0;
    CertificateTime valid_before = 0;
    // Critical options. A certificate with an option that frsh does not know is never valid.
    std::optional<std::string> force_command = {};
    std::optional<std::string> source_address = {};
    bool is_verify_required = false;
    std::optional<std::string> unknown_option = {};  // The name of the first one.
    // Extensions: what the certificate permits. Unknown ones permit nothing.
    bool permits_pty = false;
    bool permits_forwarding = false;
    bool permits_agent = false;
    PublicKey authority;

    [[nodiscard]] bool is_signed() const;
    // Returns a line for the log: "certificate "id" (serial 7) of CA SHA256:…".
    [[nodiscard]] std::string describe() const;

  private:
    Certificate(std::string_view whole, PublicKey certified, PublicKey signer)
        : blob(whole), key(std::move(certified)), authority(std::move(signer)) {}

    std::size_t signed_size_ = 0;  // The signature is over the first bytes of the blob.
    std::string signature_;
};

// What a list of principals decides if a certificate has none. sshd admits such a certificate for
// the authority of an authorized_keys line, but not for TrustedUserCAKeys.
enum class NoPrincipals { MatchAll, MatchNone };

// Return why the certificate is not valid, or nothing. The authority's trust is the caller's.
[[nodiscard]] std::optional<std::string> find_fault(const Certificate& certificate,
                                                    Certificate::Kind kind, CertificateTime now);
// Compares users and hosts as text; case counts.
[[nodiscard]] bool names_principal(const Certificate& certificate, std::string_view name,
                                   NoPrincipals rule);
// Returns true if the critical option source-address permits this numeric address, or if there is
// no such option. The list has addresses and blocks only; anything else in it matches nothing.
[[nodiscard]] bool permits_address(const Certificate& certificate, std::string_view address);

// Parses the first line of a -cert.pub file: "type base64 comment". Throws ProtocolError.
[[nodiscard]] Certificate parse_certificate_line(std::string_view content);

// A key as a peer presents it: alone, or in a certificate.
struct Credential {
    Credential(PublicKey alone) : key(std::move(alone)) {}  // NOLINT: every key is a credential.
    explicit Credential(Certificate whole) : key(whole.key), certificate(std::move(whole)) {}
    // Throws ProtocolError.
    static Credential from_blob(std::string_view blob);

    [[nodiscard]] const std::string& blob() const {
        return certificate ? certificate->blob : key.blob();
    }
    // Returns the key's fingerprint, with "CERT-" in front for a certificate.
    [[nodiscard]] std::string fingerprint() const;

    friend bool operator==(const Credential& a, const Credential& b) {
        return a.blob() == b.blob();
    }

    PublicKey key;
    std::optional<Certificate> certificate = {};
};

}  // namespace frsh
