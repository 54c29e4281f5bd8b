#include "common/keys/ssh_key.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/crypto.hpp"
#include "common/keys/openssl_owned.hpp"
#include "common/keys/ssh_wire.hpp"

#include <array>
#include <cstdint>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace frsh {
namespace {

struct KeyKind {
    KeyType type;
    std::string_view name;
    const char* label;
    // ECDSA only:
    std::string_view curve = {};     // The curve's name in the blob.
    const char* openssl_curve = {};  // The curve's name in OpenSSL.
    std::size_t field_size = 0;      // The size of a coordinate, and the largest size of r and s.
    const char* signature_hash = {};
};
constexpr std::array kKinds = {
    KeyKind{KeyType::Ed25519, "ssh-ed25519", "ED25519"},
    KeyKind{KeyType::EcdsaP256, "ecdsa-sha2-nistp256", "ECDSA 256", "nistp256", "P-256", 32,
            "SHA256"},
    KeyKind{KeyType::EcdsaP384, "ecdsa-sha2-nistp384", "ECDSA 384", "nistp384", "P-384", 48,
            "SHA384"},
    KeyKind{KeyType::EcdsaP521, "ecdsa-sha2-nistp521", "ECDSA 521", "nistp521", "P-521", 66,
            "SHA512"},
    KeyKind{KeyType::Rsa, "ssh-rsa", "RSA"},
    KeyKind{KeyType::FidoEd25519, "sk-ssh-ed25519@openssh.com", "ED25519-SK"},
    KeyKind{KeyType::FidoEcdsaP256, "sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA-SK 256",
            "nistp256", "P-256", 32, "SHA256"},
};

constexpr std::size_t kEd25519SignatureSize = 64;
constexpr std::size_t kMaxRsaBits = 16384;
constexpr std::size_t kMinRsaBits = 2048;
constexpr std::size_t kMaxExponentSize = 8;  // OpenSSL takes no larger one with a long modulus.
constexpr std::size_t kMaxApplication = 1024;
constexpr std::uint8_t kFlagTouched = 0x01;   // PROTOCOL.u2f.
constexpr std::uint8_t kFlagVerified = 0x04;  // A PIN or a fingerprint.

const KeyKind& kind_of(KeyType type) {
    return kKinds[static_cast<std::size_t>(type)];
}

// The fields of a key blob, as views into the blob. The type decides which ones are set.
struct Parts {
    KeyType type = KeyType::Ed25519;
    std::string_view point;     // ed25519 and ECDSA.
    std::string_view exponent;  // RSA.
    std::string_view modulus;
    std::string_view application;  // FIDO: which site or service the token made the key for.
};

std::size_t bits_of(std::string_view magnitude) {
    std::size_t bits = magnitude.size() * 8;
    for (unsigned top = 0x80; top != 0 && (magnitude[0] & top) == 0; top >>= 1)
        --bits;
    return bits;
}

// Returns false for two kinds of points that no honest key has. A y above the field's prime is a
// second encoding of another point. With a point of small order, some signatures fit any message.
bool is_sound_ed25519(std::string_view point) {
    std::string y(point);
    y[31] = static_cast<char>(y[31] & 0x7F);  // The sign of x.
    const std::string ones(30, '\xFF');
    if (y.substr(1, 30) == ones && y[31] == 0x7F && static_cast<std::uint8_t>(y[0]) >= 0xEC) {
        return false;  // y is p - 1 (a point of order 2), or at least p.
    }
    using namespace std::string_view_literals;
    static constexpr std::array kSmallOrder = {
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv,
        "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv,
        "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0"
        "\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05"sv,
        "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f"
        "\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a"sv,
    };
    for (const std::string_view small : kSmallOrder) {
        if (y == small) return false;
    }
    return true;
}

Parts parse_blob(std::string_view blob) {
    WireReader reader(blob, "public key");
    const std::string_view name = reader.string();
    const KeyKind* kind = nullptr;
    for (const KeyKind& known : kKinds) {
        if (known.name == name) kind = &known;
    }
    if (kind == nullptr) reader.refuse("a type that frsh does not know");
    Parts parts;
    parts.type = kind->type;
    if (kind->type == KeyType::Rsa) {
        parts.exponent = reader.positive_mpint(kMaxExponentSize);
        parts.modulus = reader.positive_mpint(kMaxRsaBits / 8);
        if (bits_of(parts.modulus) < kMinRsaBits) reader.refuse("RSA of less than 2048 bits");
        const bool is_odd = (parts.modulus.back() & 1) != 0 && (parts.exponent.back() & 1) != 0;
        if (!is_odd || parts.exponent == "\x01") reader.refuse("numbers that cannot be RSA's");
    } else if (kind->field_size != 0) {
        if (reader.string() != kind->curve) reader.refuse("its curve is not its type's");
        parts.point = reader.string();
        // Accept uncompressed points only. RFC 5656, section 3.1, makes other forms optional.
        if (parts.point.size() != 1 + 2 * kind->field_size || parts.point[0] != 4) {
            reader.refuse("a point of the wrong form");
        }
    } else {
        parts.point = reader.string();
        if (parts.point.size() != kEd25519Size) reader.refuse("ed25519 of the wrong length");
        if (!is_sound_ed25519(parts.point)) reader.refuse("a point that no honest key has");
    }
    if (kind->type == KeyType::FidoEd25519 || kind->type == KeyType::FidoEcdsaP256) {
        parts.application = reader.string(kMaxApplication);
    }
    reader.finish();
    return parts;
}

// Makes a key of OpenSSL's. Returns null if OpenSSL refuses the parameters: for ECDSA, the point
// is not on its curve.
KeyHandle key_from_parameters(const char* algorithm, OSSL_PARAM* parameters) {
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    return KeyHandle(key);
}

KeyHandle to_handle(const Parts& parts) {
    initialise_openssl();
    const KeyKind& kind = kind_of(parts.type);
    if (parts.type == KeyType::Rsa) {
        const auto n = to_number(parts.modulus);
        const auto e = to_number(parts.exponent);
        const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
        if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
            OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
            return nullptr;
        }
        const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
        return key_from_parameters("RSA", parameters.get());
    }
    if (kind.field_size != 0) {
        OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                             const_cast<char*>(kind.openssl_curve), 0),
            OSSL_PARAM_construct_octet_string(
                OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(parts.point.data()), parts.point.size()),
            OSSL_PARAM_construct_end()};
        return key_from_parameters("EC", parameters);
    }
    return KeyHandle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, data_of(parts.point),
                                                 parts.point.size()));
}

// Converts an ECDSA signature from the form of SSH, two mpints, to OpenSSL's DER form.
std::string ecdsa_to_der(std::string_view spelt, std::size_t field_size) {
    WireReader reader(spelt, "signature");
    auto r = to_number(reader.positive_mpint(field_size));
    auto s = to_number(reader.positive_mpint(field_size));
    reader.finish();
    const Owned<ECDSA_SIG> pair(ECDSA_SIG_new());
    if (!pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) throw_openssl("signature");
    static_cast<void>(r.release());  // The pair owns both from here on.
    static_cast<void>(s.release());
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &der);
    if (size <= 0) throw_openssl("signature");
    std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return bytes;
}

// Verifies with OpenSSL. `hash` is null for ed25519, whose algorithm includes the hash.
bool verify_with_openssl(const Parts& parts, const char* hash, std::string_view message,
                         std::string_view signature) {
    const KeyHandle key = to_handle(parts);
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    if (!key || !context) throw_openssl("verify");
    const bool is_valid = EVP_DigestVerifyInit_ex(context.get(), nullptr, hash, nullptr, nullptr,
                                                  key.get(), nullptr) == 1 &&
                          EVP_DigestVerify(context.get(), data_of(signature), signature.size(),
                                           data_of(message), message.size()) == 1;
    ERR_clear_error();
    return is_valid;
}

// Verifies a signature. Throws ProtocolError if the signature is malformed.
bool verify_strictly(const Parts& parts, std::string_view message, std::string_view signature,
                     Presence presence) {
    const KeyKind& kind = kind_of(parts.type);
    WireReader reader(signature, "signature");
    const std::string_view algorithm = reader.string();
    std::string_view bytes = reader.string();

    const char* hash = kind.signature_hash;
    if (parts.type == KeyType::Rsa) {
        // The signature algorithm "ssh-rsa" uses SHA-1 (RFC 8332), so it is refused.
        if (algorithm == "rsa-sha2-512") {
            hash = "SHA512";
        } else if (algorithm == "rsa-sha2-256") {
            hash = "SHA256";
        } else {
            reader.refuse("not an algorithm of its key");
        }
        if (bytes.size() != parts.modulus.size()) reader.refuse("not as long as its key");
    } else if (algorithm != kind.name) {
        reader.refuse("not an algorithm of its key");
    }

    std::string signed_by_token;
    if (parts.type == KeyType::FidoEd25519 || parts.type == KeyType::FidoEcdsaP256) {
        const std::string_view flags_and_counter = reader.take(5);
        const auto flags = static_cast<std::uint8_t>(flags_and_counter[0]);
        const std::uint8_t needed =
            presence == Presence::Verified ? kFlagTouched | kFlagVerified : kFlagTouched;
        if ((flags & needed) != needed) reader.refuse("the token was not touched or unlocked");
        signed_by_token = sha256(parts.application);
        signed_by_token += flags_and_counter;
        signed_by_token += sha256(message);
        message = signed_by_token;
    }
    reader.finish();

    std::string der;
    if (kind.field_size != 0) {
        der = ecdsa_to_der(bytes, kind.field_size);
        bytes = der;
    } else if (parts.type != KeyType::Rsa && bytes.size() != kEd25519SignatureSize) {
        reader.refuse("ed25519 of the wrong length");
    }
    return verify_with_openssl(parts, hash, message, bytes);
}

}  // namespace

std::string_view name_of(KeyType type) {
    return kind_of(type).name;
}

PublicKey PublicKey::from_blob(std::string_view blob) {
    const Parts parts = parse_blob(blob);
    // Let OpenSSL check the key. Skip this for ed25519, which is_sound_ed25519() has checked:
    // making an OpenSSL key is slow, because OpenSSL searches the names of all algorithms.
    const bool is_judged = parts.type == KeyType::Ed25519 || parts.type == KeyType::FidoEd25519;
    if (!is_judged && !to_handle(parts))
        throw ProtocolError("public key: a point that is not on its curve");
    return PublicKey(parts.type, blob);
}

PublicKey PublicKey::from_text(std::string_view text) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) throw ProtocolError("public key: not \"type base64\"");
    const auto blob = base64_decode(text.substr(space + 1));
    if (!blob) throw ProtocolError("public key: not base64");
    PublicKey key = from_blob(*blob);
    if (name_of(key.type()) != text.substr(0, space)) {
        throw ProtocolError("public key: its type is not what it says in front");
    }
    return key;
}

std::string PublicKey::text() const {
    return std::string(name_of(type_)) + " " + base64_encode(blob_);
}

std::string PublicKey::fingerprint() const {
    std::string digest = base64_encode(sha256(blob_));
    digest.erase(digest.find_last_not_of('=') + 1);
    return "SHA256:" + digest;
}

std::string PublicKey::type_label() const {
    std::string label = kind_of(type_).label;
    if (type_ == KeyType::Rsa)
        label.append(" ").append(std::to_string(bits_of(parse_blob(blob_).modulus)));
    return label;
}

bool PublicKey::is_fido() const {
    return type_ == KeyType::FidoEd25519 || type_ == KeyType::FidoEcdsaP256;
}

bool PublicKey::verify(std::string_view message, std::string_view signature,
                       Presence presence) const {
    try {
        return verify_strictly(parse_blob(blob_), message, signature, presence);
    } catch (const ProtocolError&) {
        return false;
    }
}

CommentedKey parse_key_line(std::string_view line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.remove_suffix(1);
    const std::size_t type_end = line.find(' ');
    const std::size_t key_end =
        type_end == std::string_view::npos ? type_end : line.find(' ', type_end + 1);
    PublicKey key = PublicKey::from_text(line.substr(0, key_end));
    std::string comment;
    if (key_end != std::string_view::npos) comment = line.substr(key_end + 1);
    return {std::move(key), std::move(comment)};
}

}  // namespace frsh
