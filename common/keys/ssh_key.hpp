// An SSH public key, as a value: parsed once and strictly, compared by its bytes, able to verify.
//
// Known are ssh-ed25519, ecdsa-sha2-nistp256/384/521, ssh-rsa of 2048 to 16384 bits (with SHA-2
// signatures only), and the public half of the two FIDO kinds. A key has exactly one spelling here,
// so that comparing blobs is comparing keys.
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

// "ssh-ed25519" and so on, as files and blobs have it.
[[nodiscard]] std::string_view name_of(KeyType type);

// What a FIDO token must say about the person who used it; other keys cannot say, and need not.
enum class Presence { Touched, Verified };

class PublicKey {
  public:
    // Both throw ProtocolError: unknown type, wrong length, a point off its curve, a weak modulus,
    // anything left over. The text is "type base64", without comment.
    static PublicKey from_blob(std::string_view blob);
    static PublicKey from_text(std::string_view text);

    [[nodiscard]] KeyType type() const { return type_; }
    [[nodiscard]] const std::string& blob() const { return blob_; }
    [[nodiscard]] std::string text() const;         // "ssh-ed25519 AAAA…"
    [[nodiscard]] std::string fingerprint() const;  // "SHA256:…", as ssh-keygen -l prints it.
    [[nodiscard]] std::string type_label() const;   // "ED25519", "RSA 3072": for people.
    [[nodiscard]] bool is_fido() const;

    // True if `signature` (`string algorithm, string bytes`, RFC 4253) is this key's over exactly
    // `message`. Malformed signatures, SHA-1 and foreign algorithms are simply not valid ones.
    [[nodiscard]] bool verify(std::string_view message, std::string_view signature,
                              Presence presence = Presence::Touched) const;

    friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.blob_ == b.blob_; }

  private:
    PublicKey(KeyType type, std::string_view blob) : type_(type), blob_(blob) {}

    KeyType type_;
    std::string blob_;
};

// "type base64 comment", one line of a .pub file.
struct CommentedKey {
    PublicKey key;
    std::string comment;
};
CommentedKey parse_key_line(std::string_view line);

}  // namespace frsh
