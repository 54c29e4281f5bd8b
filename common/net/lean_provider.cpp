#include "common/net/lean_provider.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

// OpenSSL's own, of its library's insides: it is there only where that is linked statically.
extern "C" [[gnu::weak]] OSSL_provider_init_fn ossl_default_provider_init;

namespace frsh {
namespace {

using Query = const OSSL_ALGORITHM*(void*, int, int*);

// TLS's three, and those of the random generator.
constexpr std::array<std::string_view, 5> kCiphers = {
    "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CTR", "AES-256-ECB"};
// The last for known_hosts, and because TLS does not start without it.
constexpr std::array<std::string_view, 5> kDigests = {"SHA2-256", "SHA2-384", "SHA2-512", "MD5",
                                                      "SHA1"};

Query* query_all = nullptr;

// As the list itself, ended by an entry without names. `names` is "NAME:OTHER NAME:…".
template <std::size_t N>
std::vector<OSSL_ALGORITHM> only(const std::array<std::string_view, N>& wanted,
                                 const OSSL_ALGORITHM* all) {
    std::vector<OSSL_ALGORITHM> some;
    for (; all->algorithm_names != nullptr; ++all) {
        const std::string_view names = all->algorithm_names;
        const std::string_view first = names.substr(0, names.find(':'));
        if (std::find(wanted.begin(), wanted.end(), first) != wanted.end()) some.push_back(*all);
    }
    some.push_back(*all);
    return some;
}

const OSSL_ALGORITHM* query(void* provider, int operation, int* no_cache) {
    const OSSL_ALGORITHM* const all = query_all(provider, operation, no_cache);
    if (operation == OSSL_OP_CIPHER) {
        static const std::vector<OSSL_ALGORITHM> ciphers = only(kCiphers, all);
        return ciphers.data();
    }
    if (operation == OSSL_OP_DIGEST) {
        static const std::vector<OSSL_ALGORITHM> digests = only(kDigests, all);
        return digests.data();
    }
    return all;
}

int initialise(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH* in, const OSSL_DISPATCH** out,
               void** provider) {
    static std::vector<OSSL_DISPATCH> functions;
    const OSSL_DISPATCH* all = nullptr;
    if (ossl_default_provider_init(handle, in, &all, provider) != 1) return 0;
    for (functions.clear(); all->function_id != 0; ++all) {
        functions.push_back(*all);
        if (all->function_id != OSSL_FUNC_PROVIDER_QUERY_OPERATION) continue;
        query_all = reinterpret_cast<Query*>(all->function);
        functions.back().function = reinterpret_cast<void (*)(void)>(query);
    }
    functions.push_back({0, nullptr});
    *out = functions.data();
    return 1;
}

}  // namespace

bool load_lean_provider() {
    if (ossl_default_provider_init == nullptr) return true;
    return OSSL_PROVIDER_add_builtin(nullptr, "lean", initialise) == 1 &&
           OSSL_PROVIDER_load(nullptr, "lean") != nullptr;
}

}  // namespace frsh
