#include "common/keys/ssh_certificate.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/ssh_wire.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace frsh {
namespace {

constexpr std::string_view kSuffix = "-cert-v01@openssh.com";
constexpr std::size_t kMaxPrincipals = 256;  // OpenSSH's limit.
constexpr std::size_t kMaxOptions = 64;
constexpr std::uint32_t kUserKind = 1;
constexpr std::uint32_t kHostKind = 2;

// The types that may be certified, and how many strings and mpints make up such a key.
struct CertifiedType {
    std::string_view name;  // The type of the certificate.
    std::string_view key;   // The type of the key in it.
    int fields;
};
constexpr std::array kTypes = {
    CertifiedType{"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1},
    CertifiedType{"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2},
    CertifiedType{"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2},
    CertifiedType{"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2},
    CertifiedType{"ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2},
    CertifiedType{"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2},
    CertifiedType{"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
                  "sk-ecdsa-sha2-nistp256@openssh.com", 3},
};

// Reads the key of a certificate and returns it in its own form. Strings and mpints have the same
// outer form, so the fields can be copied as they are.
PublicKey read_key(WireReader& reader, const CertifiedType& type) {
    const std::string_view before = reader.rest();
    for (int i = 0; i < type.fields; ++i)
        reader.string();
    const std::string_view fields = before.substr(0, before.size() - reader.rest().size());
    return PublicKey::from_blob(WireWriter().string(type.key).raw(fields).take());
}

std::uint64_t read_u64(WireReader& reader) {
    const std::uint64_t high = reader.u32();
    return high << 32 | reader.u32();
}

std::vector<std::string> read_principals(std::string_view packed) {
    WireReader reader(packed, "certificate's principals");
    std::vector<std::string> names;
    while (!reader.at_end()) {
        if (names.size() == kMaxPrincipals) reader.refuse("too many");
        const std::string_view name = reader.string();
        // C programs on the way compare up to a NUL.
        if (name.find('\0') != std::string_view::npos) reader.refuse("a NUL byte");
        names.emplace_back(name);
    }
    return names;
}

struct CertificateOption {
    std::string_view name;
    std::string_view data;
};

std::vector<CertificateOption> read_options(std::string_view packed) {
    WireReader reader(packed, "certificate's options");
    std::vector<CertificateOption> options;
    while (!reader.at_end()) {
        if (options.size() == kMaxOptions) reader.refuse("too many");
        const std::string_view name = reader.string();
        const std::string_view data = reader.string();
        for (const CertificateOption& known : options) {
            if (known.name == name) reader.refuse("one is there twice");
        }
        options.push_back({name, data});
    }
    return options;
}

std::string read_value(const CertificateOption& option) {
    WireReader reader(option.data, "certificate's option");
    const std::string_view value = reader.string();
    reader.finish();
    if (value.find('\0') != std::string_view::npos) reader.refuse("a NUL byte");
    return std::string(value);
}

void require_flag(const CertificateOption& option) {
    if (!option.data.empty()) throw ProtocolError("certificate's option: a flag with a value");
}

void apply_critical(Certificate& certificate, const CertificateOption& option) {
    if (option.name == "force-command") {
        certificate.force_command = read_value(option);
    } else if (option.name == "source-address") {
        certificate.source_address = read_value(option);
    } else if (option.name == "verify-required") {
        require_flag(option);
        certificate.is_verify_required = true;
    } else if (!certificate.unknown_option) {
        certificate.unknown_option = std::string(option.name);
    }
}

void apply_extension(Certificate& certificate, const CertificateOption& option) {
    if (option.name == "permit-pty") {
        require_flag(option);
        certificate.permits_pty = true;
    } else if (option.name == "permit-port-forwarding") {
        require_flag(option);
        certificate.permits_forwarding = true;
    } else if (option.name == "permit-agent-forwarding") {
        require_flag(option);
        certificate.permits_agent = true;
    }
}

bool is_plain_address_list(std::string_view list) {
    return !list.empty() &&
           list.find_first_not_of("0123456789abcdefABCDEF.:/,") == std::string_view::npos &&
           !list.starts_with(',') && !list.ends_with(',') &&
           list.find(",,") == std::string_view::npos && !find_fault_in_address_list(list);
}

}  // namespace

CertificateTime certificate_time_now() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<CertificateTime>(
        std::max<std::int64_t>(std::chrono::floor<std::chrono::seconds>(since_1970).count(), 0));
}

Certificate Certificate::from_blob(std::string_view blob) {
    WireReader reader(blob, "certificate");
    if (blob.size() > kMaxCertificate) reader.refuse("too long");
    const std::string_view name = reader.string();
    const auto* const type = std::find_if(
        kTypes.begin(), kTypes.end(), [&](const CertifiedType& one) { return one.name == name; });
    if (type == kTypes.end()) reader.refuse("a type that frsh does not know");
    (void)reader.string();  // A nonce against collisions of the hash.
    PublicKey key = read_key(reader, *type);
    const std::uint64_t serial = read_u64(reader);
    const std::uint32_t kind = reader.u32();
    if (kind != kUserKind && kind != kHostKind) reader.refuse("neither a user's nor a host's");
    const std::string_view id = reader.string();
    auto principals = read_principals(reader.string());
    const CertificateTime after = read_u64(reader);
    const CertificateTime before = read_u64(reader);
    const auto critical = read_options(reader.string());
    const auto extensions = read_options(reader.string());
    (void)reader.string();  // Reserved.
    PublicKey authority = PublicKey::from_blob(reader.string());
    const std::size_t signed_size = blob.size() - reader.rest().size();
    std::string signature(reader.string());
    reader.finish();

    Certificate certificate(blob, std::move(key), std::move(authority));
    certificate.kind = kind == kUserKind ? Kind::User : Kind::Host;
    certificate.serial = serial;
    certificate.id = id;
    certificate.principals = std::move(principals);
    certificate.valid_after = after;
    certificate.valid_before = before;
    for (const CertificateOption& option : critical)
        apply_critical(certificate, option);
    for (const CertificateOption& option : extensions)
        apply_extension(certificate, option);
    certificate.signed_size_ = signed_size;
    certificate.signature_ = std::move(signature);
    return certificate;
}

Certificate Certificate::from_text(std::string_view text) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) throw ProtocolError("certificate: not \"type base64\"");
    const auto blob = base64_decode(text.substr(space + 1));
    if (!blob) throw ProtocolError("certificate: not base64");
    const std::string type(text.substr(0, space));
    if (!blob->starts_with(WireWriter().string(type).bytes())) {
        throw ProtocolError("certificate: its type is not what it says in front");
    }
    return from_blob(*blob);
}

bool Certificate::is_signed() const {
    return authority.verify(std::string_view(blob).substr(0, signed_size_), signature_);
}

std::string Certificate::describe() const {
    return "certificate \"" + escape_controls(id) + "\" (serial " + std::to_string(serial) +
           ") of CA " + authority.fingerprint();
}

std::optional<std::string> find_fault(const Certificate& certificate, Certificate::Kind kind,
                                      CertificateTime now) {
    if (certificate.kind != kind) {
        return kind == Certificate::Kind::User ? "it is not a user's" : "it is not a host's";
    }
    if (now < certificate.valid_after) return "it is not valid yet";
    if (now >= certificate.valid_before) return "it has expired";
    if (certificate.unknown_option) {
        return "it has the unknown critical option \"" +
               escape_controls(*certificate.unknown_option) + "\"";
    }
    const bool has_options =
        certificate.force_command || certificate.source_address || certificate.is_verify_required;
    if (kind == Certificate::Kind::Host && has_options) return "it has options of a user's";
    if (!certificate.is_signed()) return "its signature is not valid";
    return std::nullopt;
}

bool names_principal(const Certificate& certificate, std::string_view name, NoPrincipals rule) {
    if (certificate.principals.empty()) return rule == NoPrincipals::MatchAll;
    return std::find(certificate.principals.begin(), certificate.principals.end(), name) !=
           certificate.principals.end();
}

bool permits_address(const Certificate& certificate, std::string_view address) {
    if (!certificate.source_address) return true;
    return is_plain_address_list(*certificate.source_address) &&
           match_address_list(address, *certificate.source_address) == ListVerdict::Match;
}

Certificate parse_certificate_line(std::string_view content) {
    std::string_view line = content.substr(0, content.find_first_of("\r\n"));
    const std::size_t type = std::min(line.find(' '), line.size());
    return Certificate::from_text(line.substr(0, line.find(' ', type + 1)));
}

Credential Credential::from_blob(std::string_view blob) {
    WireReader reader(blob, "key");
    if (reader.string().ends_with(kSuffix)) return Credential(Certificate::from_blob(blob));
    return PublicKey::from_blob(blob);
}

std::string Credential::fingerprint() const {
    return (certificate ? "CERT-" : "") + key.fingerprint();
}

}  // namespace frsh
