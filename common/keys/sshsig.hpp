// SSHSIG: signatures by SSH keys over something else than an SSH login (PROTOCOL.sshsig).
//
// What is signed starts with "SSHSIG" and a namespace. Read as an SSH login those first bytes would
// be a session id of 1.4 GB, so nothing signed here can ever log in anywhere; and a signature made
// for git, for a file or for another step of frsh has another namespace, so it means nothing here.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_key.hpp"

#include <string>
#include <string_view>

namespace frsh {

// The bytes that a key signs, for whoever holds the key: us, or ssh-agent.
[[nodiscard]] std::string sshsig_signed_data(std::string_view name_space, std::string_view message);

// The signature alone (`string algorithm, string bytes`), which is what frsh's proofs carry: key
// and namespace are not the signer's to choose.
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
// Throws ProtocolError, also where another hash than sha512 was used.
[[nodiscard]] ArmoredSignature dearmor(std::string_view text);

}  // namespace frsh
