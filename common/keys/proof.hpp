// Who is at the other end: two signatures over the TLS channel, one from each side.
//
// Both sign the channel binding, which is the same at both ends only where nobody sits in between,
// and the server's nonce. So a proof means nothing on any other connection, and a relay in the
// middle has nothing to pass on. The user's also names the host's key and the account, so that a
// login to one server is none to another.
//
//     host proof   payload  string host_key_blob, string signature
//     user proof   payload  string user, string key_blob, string signature
//     user probe   payload  string user, 1 to 6 × string key_blob      (unsigned: "which of
//     these?")
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_key.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

inline constexpr std::size_t kNonceSize = 16;
inline constexpr std::size_t kBindingSize = 32;
inline constexpr std::size_t kMaxProbes = 6;
inline constexpr std::size_t kMaxUserName = 256;
// The largest proof there is: RSA of 16384 bits, twice over. A payload above it is refused unread.
inline constexpr std::size_t kMaxProof = std::size_t{16} * 1024;

inline constexpr std::string_view kHostNamespace = "host-v1@frsh";
inline constexpr std::string_view kUserNamespace = "auth-v1@frsh";

// What the proofs of one connection have in common.
struct ProofContext {
    std::string binding;  // TlsTransport::exporter().
    std::string nonce;    // The server's hello.
};

// The messages to sign with sshsig.hpp under the two namespaces, by whoever holds the key.
[[nodiscard]] std::string host_proof_message(const ProofContext& context);
[[nodiscard]] std::string user_proof_message(const ProofContext& context, const PublicKey& host_key,
                                             std::string_view user);

struct HostProof {
    PublicKey key;
    std::string signature;
};
struct UserProof {
    std::string user;
    PublicKey key;
    std::string signature;
};
struct UserProbe {
    std::string user;
    std::vector<PublicKey> keys;  // In the order in which the client would like to use them.
};

[[nodiscard]] std::string encode(const HostProof& proof);
[[nodiscard]] std::string encode(const UserProof& proof);
[[nodiscard]] std::string encode(const UserProbe& probe);

// All three throw ProtocolError for anything but exactly one of these. A user's name is bytes
// without NUL and not empty; whether there is such a user is somebody else's question.
[[nodiscard]] HostProof parse_host_proof(std::string_view payload);
[[nodiscard]] UserProof parse_user_proof(std::string_view payload);
[[nodiscard]] UserProbe parse_user_probe(std::string_view payload);

// True if the key's owner is at the other end of exactly this connection. Whether that key is the
// one we want to talk to is for known_hosts and authorized_keys to say.
[[nodiscard]] bool is_proven(const HostProof& proof, const ProofContext& context);
[[nodiscard]] bool is_proven(const UserProof& proof, const ProofContext& context,
                             const PublicKey& host_key, Presence presence = Presence::Touched);

// One signature and its check for nothing, as TlsContext::warm_up() is a handshake for nothing.
void warm_up_proofs(const PrivateKey& key);

}  // namespace frsh
