// Owning pointers to OpenSSL's objects. Only the .cpp files of this folder include this header; no
// other header includes OpenSSL's.
#pragma once

#include <memory>
#include <string_view>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace frsh {

struct OpensslFreer {
    void operator()(BIGNUM* number) const {
        BN_clear_free(number);
    }  // Cleared, because it may be secret.
    void operator()(BN_CTX* context) const { BN_CTX_free(context); }
    void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
    void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
template <typename T>
using Owned = std::unique_ptr<T, OpensslFreer>;

inline const unsigned char* data_of(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Converts an unsigned big-endian magnitude. Returns null if memory is exhausted.
inline Owned<BIGNUM> to_number(std::string_view magnitude) {
    return Owned<BIGNUM>(
        BN_bin2bn(data_of(magnitude), static_cast<int>(magnitude.size()), nullptr));
}

}  // namespace frsh
