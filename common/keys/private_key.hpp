// An SSH private key in memory: it signs, and an ed25519 key can be exported to a file.
#pragma once

#include "common/keys/crypto.hpp"
#include "common/keys/ssh_key.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace frsh {

// Movable, not copyable. OpenSSL wipes the key's memory on destruction.
class PrivateKey {
  public:
    static PrivateKey generate_ed25519();

    // Parses the private fields of an openssh-key-v1 file (key_file.cpp). Throws ProtocolError,
    // also if the private half does not belong to `key`.
    static PrivateKey from_openssh_fields(const PublicKey& key, std::string_view fields);

    [[nodiscard]] const PublicKey& public_key() const { return public_; }

    // Returns a signature in SSH's wire format; RSA keys use rsa-sha2-512. Each signature is
    // verified before it is returned: a faulty RSA signature could reveal the private key.
    [[nodiscard]] std::string sign(std::string_view message) const;

    // Returns the fields that from_openssh_fields() reads; ed25519 only. Wipe the result after use.
    [[nodiscard]] std::string openssh_fields() const;

  private:
    PrivateKey(PublicKey key, KeyHandle handle)
        : public_(std::move(key)), handle_(std::move(handle)) {}

    PublicKey public_;
    KeyHandle handle_;
};

}  // namespace frsh
