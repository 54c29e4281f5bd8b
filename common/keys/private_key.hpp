// An SSH private key in memory: a thing that signs, and that can be written down once.
#pragma once

#include "common/keys/crypto.hpp"
#include "common/keys/ssh_key.hpp"

#include <string>
#include <string_view>

namespace frsh {

// A private key in memory. It moves, it does not copy; OpenSSL wipes it when it goes.
class PrivateKey {
  public:
    static PrivateKey generate_ed25519();

    // The private part of an openssh-key-v1 file, as this type of key spells it: see key_file.cpp.
    // Throws ProtocolError, also where the private half does not belong to `key`.
    static PrivateKey from_openssh_fields(const PublicKey& key, std::string_view fields);

    [[nodiscard]] const PublicKey& public_key() const { return public_; }

    // A signature in SSH's spelling; RSA keys use rsa-sha2-512. Each is verified before it leaves:
    // a faulty RSA signature would give the key away.
    [[nodiscard]] std::string sign(std::string_view message) const;

    // The fields that from_openssh_fields reads, for ed25519 only. Secret: wipe it.
    [[nodiscard]] std::string openssh_fields() const;

  private:
    PrivateKey(PublicKey key, KeyHandle handle)
        : public_(std::move(key)), handle_(std::move(handle)) {}

    PublicKey public_;
    KeyHandle handle_;
};

}  // namespace frsh
