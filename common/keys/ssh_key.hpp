// An SSH public key as a value: parsed strictly, compared by its bytes, and used to verify.
//
// Supported: ssh-ed25519, ecdsa-sha2-nistp256/384/521, ssh-rsa of 2048 to 16384 bits (SHA-2
// signatures only), and both FIDO types. Each key has exactly one accepted encoding, so comparing
// blobs compares keys.
#pragma once

#include <string>
#include <string_view>

namespace frsh {

enum class KeyType {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Rsa,
    FidoEd25519,
    FidoEcdsaP256,
};

// In bytes, of either half (RFC 8032).
inline constexpr std::size_t kEd25519Size = 32;

// Returns the name in files and blobs, "ssh-ed25519" for example.
[[nodiscard]] std::string_view name_of(KeyType type);

// What the signature of a FIDO token must confirm: a touch, or a PIN as well. Other types ignore
// it.
enum class Presence { Touched, Verified };

class PublicKey {
  public:
    // Throw ProtocolError: unknown type, wrong length, a point off its curve, a weak modulus,
    // trailing bytes. The text is "type base64", without comment.
    static PublicKey from_blob(std::string_view blob);
    static PublicKey from_text(std::string_view text);

    [[nodiscard]] KeyType type() const { return type_; }
    [[nodiscard]] const std::string& blob() const { return blob_; }
    [[nodiscard]] std::string text() const;         // "ssh-ed25519 AAAA…"
    [[nodiscard]] std::string fingerprint() const;  // "SHA256:…", as ssh-keygen -l prints it.
    [[nodiscard]] std::string type_label() const;   // "ED25519", "RSA 3072", for messages.
    [[nodiscard]] bool is_fido() const;

    // Returns true if `signature` (`string algorithm, string bytes`, RFC 4253) was made by this key
    // over `message`. Returns false for malformed signatures, SHA-1 and algorithms of other types.
    [[nodiscard]] bool verify(std::string_view message, std::string_view signature,
                              Presence presence = Presence::Touched) const;

    friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.blob_ == b.blob_; }

  private:
    PublicKey(KeyType type, std::string_view blob) : type_(type), blob_(blob) {}

    KeyType type_;
    std::string blob_;
};

// One line of a .pub file: "type base64 comment".
struct CommentedKey {
    PublicKey key;
    std::string comment;
};
CommentedKey parse_key_line(std::string_view line);

}  // namespace frsh
