// SSHSIG: signatures by SSH keys that are not SSH logins (PROTOCOL.sshsig of OpenSSH).
//
// The signed data starts with "SSHSIG" and a namespace. An SSH server would read these bytes as the
// length of a session id of 1.4 GB, so such a signature is never a valid SSH login. A signature
// made for git, for a file or for another step of frsh has another namespace, so it is invalid
// here.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_key.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Returns the bytes that the key signs; a PrivateKey or ssh-agent makes the signature.
[[nodiscard]] std::string sshsig_signed_data(std::string_view name_space, std::string_view message);

// Make and verify the bare signature (`string algorithm, string bytes`). frsh's proofs carry only
// this: the verifier knows the key and the namespace.
[[nodiscard]] std::string sign_sshsig(const PrivateKey& key, std::string_view name_space,
                                      std::string_view message);
[[nodiscard]] bool verify_sshsig(const PublicKey& key, std::string_view name_space,
                                 std::string_view message, std::string_view signature,
                                 Presence presence = Presence::Touched);

// The file form, "-----BEGIN SSH SIGNATURE-----", which `ssh-keygen -Y` writes and reads.
struct ArmoredSignature {
    PublicKey key;
    std::string name_space;
    std::string signature;
};
[[nodiscard]] std::string armor(const ArmoredSignature& signature);
// Throws ProtocolError, also if the hash is not sha512.
[[nodiscard]] ArmoredSignature dearmor(std::string_view text);

}  // namespace frsh
