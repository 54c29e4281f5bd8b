#include "common/keys/crypto.hpp"

#include "common/keys/openssl_owned.hpp"

#include <cstdint>
#include <cstdio>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace frsh {
namespace {

std::string digest(const char* name, std::string_view bytes) {
    initialise_openssl();
    unsigned char value[EVP_MAX_MD_SIZE];
    std::size_t size = 0;
    if (EVP_Q_digest(nullptr, name, nullptr, bytes.data(), bytes.size(), value, &size) != 1) {
        throw_openssl(name);
    }
    return {reinterpret_cast<const char*>(value), size};
}

}  // namespace

void initialise_openssl() {
    // The configuration file is the machine's, not ours: no engine or provider is loaded from it.
    constexpr std::uint64_t kOptions =
        OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
        OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_ATEXIT;
    static const bool is_ready = OPENSSL_init_crypto(kOptions, nullptr) == 1;
    if (!is_ready) throw TlsError("OpenSSL: cannot be initialised");
}

std::string sha1_hmac(std::string_view key, std::string_view bytes) {
    initialise_openssl();
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), data_of(bytes), bytes.size(),
             value, &size) == nullptr) {
        throw_openssl("HMAC-SHA1");
    }
    return {reinterpret_cast<const char*>(value), size};
}

std::string sha256(std::string_view bytes) {
    return digest("SHA256", bytes);
}

std::string sha512(std::string_view bytes) {
    return digest("SHA512", bytes);
}

std::string random_bytes(std::size_t size) {
    initialise_openssl();
    std::string bytes(size, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) != 1) {
        throw_openssl("random bytes");
    }
    return bytes;
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
}

void KeyDeleter::operator()(evp_pkey_st* key) const {
    EVP_PKEY_free(key);
}

void throw_openssl(std::string_view attempt) {
    const unsigned long code = ERR_peek_last_error();
    const char* const reason = ERR_reason_error_string(code);
    // The strings are left out at start-up; `openssl errstr` explains the number.
    char number[32];
    std::snprintf(number, sizeof number, "OpenSSL error %08lX", code);
    ERR_clear_error();
    throw TlsError(std::string(attempt) + ": " + (reason != nullptr ? reason : number));
}

}  // namespace frsh
