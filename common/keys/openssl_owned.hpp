// OpenSSL's objects, each freed once by whoever owns it. For the .cpp files of this folder only:
// no other header here shows OpenSSL.
#pragma once

#include <memory>
#include <string_view>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace frsh {

struct OpensslFreer {
    void operator()(BIGNUM* number) const { BN_clear_free(number); }  // It may be a secret.
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

// Of an unsigned big-endian magnitude.
inline Owned<BIGNUM> to_number(std::string_view magnitude) {
    return Owned<BIGNUM>(
        BN_bin2bn(data_of(magnitude), static_cast<int>(magnitude.size()), nullptr));
}

}  // namespace frsh
