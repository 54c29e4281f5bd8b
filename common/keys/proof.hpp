// Authentication of both peers: two signatures over the TLS channel, one from each side.
//
// Both sign the channel binding and the server's nonce. The binding is the same at both ends only
// if no relay sits between them, so a proof is invalid on any other connection. The user's proof
// also names the host key and the account, so it is invalid for any other server or account.
//
//     host proof   payload  string host_key_blob, string signature [, string certificate_blob]
//     user proof   payload  string user, string key_or_certificate_blob, string signature
//     user probe   payload  string user, 1 to 6 × string key_or_certificate_blob
//
// The probe is not signed. The client sends it to learn which of its keys the server accepts.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_certificate.hpp"
#include "common/keys/ssh_key.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

inline constexpr std::size_t kNonceSize = 16;
inline constexpr std::size_t kBindingSize = 32;
inline constexpr std::size_t kMaxProbes = 6;  // Keys in one probe.
// In bytes, of all keys in a probe, if there are several: they fit below kMaxProof.
inline constexpr std::size_t kMaxProbeSize = std::size_t{12} * 1024;
// Probes that a server answers on one connection.
inline constexpr int kMaxProbeRounds = 8;
inline constexpr std::size_t kMaxUserName = 256;
// More than the largest proof needs (an RSA key of 16384 bits and a signature by it). A larger
// payload is refused before it is read.
inline constexpr std::size_t kMaxProof = std::size_t{16} * 1024;

inline constexpr std::string_view kHostNamespace = "host-v1@frsh";
inline constexpr std::string_view kUserNamespace = "auth-v1@frsh";

// The values that both proofs of one connection sign.
struct ProofContext {
    std::string binding;  // TlsTransport::exporter().
    std::string nonce;    // The server's hello.
};

// Return the messages to sign with SSHSIG (sshsig.hpp), each under its namespace.
[[nodiscard]] std::string host_proof_message(const ProofContext& context);
[[nodiscard]] std::string user_proof_message(const ProofContext& context, const PublicKey& host_key,
                                             std::string_view user);

// A certificate is not judged here, only parsed: its key is `key`.
struct HostProof {
    PublicKey key;
    std::string signature;
    std::optional<Certificate> certificate = {};
};
struct UserProof {
    std::string user;
    PublicKey key;
    std::string signature;
    std::optional<Certificate> certificate = {};
};
struct UserProbe {
    std::string user;
    std::vector<Credential> keys;  // In the client's order of preference.
};

[[nodiscard]] std::string encode(const HostProof& proof);
[[nodiscard]] std::string encode(const UserProof& proof);
[[nodiscard]] std::string encode(const UserProbe& probe);

// Throw ProtocolError for a malformed payload. A user's name is not empty and has no NUL byte;
// whether the user exists is not checked here.
[[nodiscard]] HostProof parse_host_proof(std::string_view payload);
[[nodiscard]] UserProof parse_user_proof(std::string_view payload);
[[nodiscard]] UserProbe parse_user_probe(std::string_view payload);

// Return true if the peer of exactly this connection owns the key. Whether the key is trusted is
// decided by known_hosts and authorized_keys.
[[nodiscard]] bool is_proven(const HostProof& proof, const ProofContext& context);
[[nodiscard]] bool is_proven(const UserProof& proof, const ProofContext& context,
                             const PublicKey& host_key, Presence presence = Presence::Touched);

// Makes and verifies one unused signature, for the same reason as TlsContext::warm_up().
void warm_up_proofs(const PrivateKey& key);

}  // namespace frsh
