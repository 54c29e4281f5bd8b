#include "server/login/sshd_key_rules.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/ssh_wire.hpp"

#include <bit>
#include <string_view>

namespace frsh {
namespace {

// Returns the type that a key or certificate begins with.
std::string type_of(std::string_view blob) {
    return std::string(WireReader(blob, "key").string());
}

// Returns 0 for keys of other types.
std::size_t rsa_bits_of(const PublicKey& key) {
    if (key.type() != KeyType::Rsa) return 0;
    WireReader reader(std::string_view(key.blob()), "key");
    (void)reader.string();
    (void)reader.string();
    const std::string_view modulus = reader.positive_mpint();
    return modulus.size() * 8 -
           static_cast<std::size_t>(std::countl_zero(static_cast<unsigned char>(modulus[0])));
}

// Returns "" for a malformed signature. The signature follows the authority's key at the end.
std::string signature_algorithm_of(const Certificate& certificate) {
    try {
        const std::string authority = WireWriter().string(certificate.authority.blob()).take();
        const std::string_view blob = certificate.blob;
        const std::size_t at = blob.rfind(authority);
        if (at == std::string_view::npos) return "";
        WireReader reader(blob.substr(at + authority.size()), "certificate");
        const std::string_view signature = reader.string();
        reader.finish();
        return type_of(signature);
    } catch (const ProtocolError&) {
        return "";
    }
}

// Returns the name that sshd knows this key by. frsh's clients, as OpenSSH's, sign with RSA and
// SHA-512.
std::string algorithm_of(const Credential& credential) {
    const std::string name = type_of(credential.blob());
    constexpr std::string_view kRsa = "ssh-rsa";
    return name.starts_with(kRsa) ? "rsa-sha2-512" + name.substr(kRsa.size()) : name;
}

bool is_in_list(const std::string& algorithm, const std::string& list) {
    return match_host_list(algorithm, list) == ListVerdict::Match;
}

}  // namespace

std::optional<std::string> find_key_refusal(const SshdPolicy& policy,
                                            const Credential& credential) {
    if (policy.accepted_algorithms) {
        const std::string algorithm = algorithm_of(credential);
        if (!is_in_list(algorithm, *policy.accepted_algorithms)) {
            return "PubkeyAcceptedAlgorithms has no " + algorithm + " (sshd_config)";
        }
    }
    if (policy.ca_algorithms && credential.certificate) {
        const std::string algorithm = signature_algorithm_of(*credential.certificate);
        if (!is_in_list(algorithm, *policy.ca_algorithms)) {
            return "CASignatureAlgorithms has no " + escape_controls(algorithm) + " (sshd_config)";
        }
    }
    const std::size_t bits = rsa_bits_of(credential.key);
    if (bits != 0 && bits < policy.required_rsa_size) {
        return "RequiredRSASize is " + std::to_string(policy.required_rsa_size) + " (sshd_config)";
    }
    return std::nullopt;
}

}  // namespace frsh
