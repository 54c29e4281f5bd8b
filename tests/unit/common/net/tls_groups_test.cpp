// The key exchange that both sides choose, with a provider that gives OpenSSL before 3.5 the group
// X25519MLKEM768. The provider is a mock: it has the group's name and number, and no secret.
#include "common/base/error.hpp"
#include "common/net/tls.hpp"
#include "common/sys/fd.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/opensslv.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <sys/wait.h>
#include <unistd.h>

using frsh::TlsContext;
using frsh::TlsTransport;

namespace {

using Handshake = TlsTransport::Handshake;

constexpr const char* kHybrid = "X25519MLKEM768";
constexpr std::size_t kSize = 32;

struct MockKey {
    std::array<unsigned char, kSize> bytes{};
};

struct MockGeneration {
    int selection;
};

struct MockExchange {
    MockKey* key = nullptr;
};

using Function = void (*)();
template <typename Signature>
Function as_function(Signature* function) {
    return reinterpret_cast<Function>(function);
}

void* new_key(void*) {
    return new MockKey;
}
void free_key(void* key) {
    delete static_cast<MockKey*>(key);
}
int key_has(const void*, int) {
    return 1;
}
void* begin_key(void*, int selection, const OSSL_PARAM*) {
    return new MockGeneration{selection};
}
int take_any(void*, const OSSL_PARAM*) {
    return 1;
}
const OSSL_PARAM* takes_group(void*, void*) {
    static const OSSL_PARAM kTaken[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0), OSSL_PARAM_END};
    return kTaken;
}
void* make_key(void* generation, OSSL_CALLBACK*, void*) {
    auto key = std::make_unique<MockKey>();
    const int selection = static_cast<MockGeneration*>(generation)->selection;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0) RAND_bytes(key->bytes.data(), kSize);
    return key.release();
}
void end_key(void* generation) {
    delete static_cast<MockGeneration*>(generation);
}
const OSSL_PARAM* key_params(void*) {
    static const OSSL_PARAM kParams[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, nullptr, 0),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr), OSSL_PARAM_END};
    return kParams;
}
int get_key_params(void* key, OSSL_PARAM params[]) {
    const auto& bytes = static_cast<MockKey*>(key)->bytes;
    if (OSSL_PARAM* one = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY)) {
        if (OSSL_PARAM_set_octet_string(one, bytes.data(), kSize) != 1) return 0;
    }
    for (const char* const name :
         {OSSL_PKEY_PARAM_BITS, OSSL_PKEY_PARAM_SECURITY_BITS, OSSL_PKEY_PARAM_MAX_SIZE}) {
        OSSL_PARAM* const one = OSSL_PARAM_locate(params, name);
        if (one != nullptr && OSSL_PARAM_set_int(one, 192) != 1) return 0;
    }
    return 1;
}
int set_key_params(void* key, const OSSL_PARAM params[]) {
    const OSSL_PARAM* one = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    if (one == nullptr) return 1;
    if (one->data_size != kSize) return 0;
    std::memcpy(static_cast<MockKey*>(key)->bytes.data(), one->data, kSize);
    return 1;
}

void* new_exchange(void*) {
    return new MockExchange;
}
void free_exchange(void* exchange) {
    delete static_cast<MockExchange*>(exchange);
}
int begin_exchange(void* exchange, void* key, const OSSL_PARAM*) {
    static_cast<MockExchange*>(exchange)->key = static_cast<MockKey*>(key);
    return 1;
}
// The secret of the mock is the public key, changed by the bytes that are sent.
void derive(const MockKey& key, const unsigned char* sent, unsigned char* secret) {
    for (std::size_t i = 0; i < kSize; ++i)
        secret[i] = static_cast<unsigned char>(key.bytes[i] ^ sent[i]);
}
int encapsulate(void* exchange, unsigned char* sent, std::size_t* sent_size, unsigned char* secret,
                std::size_t* secret_size) {
    *sent_size = *secret_size = kSize;
    if (sent == nullptr) return 1;
    RAND_bytes(sent, kSize);
    derive(*static_cast<MockExchange*>(exchange)->key, sent, secret);
    return 1;
}
int decapsulate(void* exchange, unsigned char* secret, std::size_t* secret_size,
                const unsigned char* sent, std::size_t sent_size) {
    *secret_size = kSize;
    if (secret == nullptr) return 1;
    if (sent_size != kSize) return 0;
    derive(*static_cast<MockExchange*>(exchange)->key, sent, secret);
    return 1;
}

const OSSL_ALGORITHM* query(void*, int operation, int* is_uncached) {
    static const OSSL_DISPATCH kKeys[] = {
        {OSSL_FUNC_KEYMGMT_NEW, as_function(new_key)},
        {OSSL_FUNC_KEYMGMT_FREE, as_function(free_key)},
        {OSSL_FUNC_KEYMGMT_HAS, as_function(key_has)},
        {OSSL_FUNC_KEYMGMT_GEN_INIT, as_function(begin_key)},
        {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, as_function(take_any)},
        {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, as_function(takes_group)},
        {OSSL_FUNC_KEYMGMT_GEN, as_function(make_key)},
        {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, as_function(end_key)},
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, as_function(get_key_params)},
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, as_function(key_params)},
        {OSSL_FUNC_KEYMGMT_SET_PARAMS, as_function(set_key_params)},
        {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, as_function(key_params)},
        {0, nullptr}};
    static const OSSL_DISPATCH kKem[] = {
        {OSSL_FUNC_KEM_NEWCTX, as_function(new_exchange)},
        {OSSL_FUNC_KEM_FREECTX, as_function(free_exchange)},
        {OSSL_FUNC_KEM_ENCAPSULATE_INIT, as_function(begin_exchange)},
        {OSSL_FUNC_KEM_ENCAPSULATE, as_function(encapsulate)},
        {OSSL_FUNC_KEM_DECAPSULATE_INIT, as_function(begin_exchange)},
        {OSSL_FUNC_KEM_DECAPSULATE, as_function(decapsulate)},
        {0, nullptr}};
    static const OSSL_ALGORITHM kKeyTypes[] = {{kHybrid, "provider=mock", kKeys, nullptr},
                                               {nullptr, nullptr, nullptr, nullptr}};
    static const OSSL_ALGORITHM kKems[] = {{kHybrid, "provider=mock", kKem, nullptr},
                                           {nullptr, nullptr, nullptr, nullptr}};
    *is_uncached = 0;
    if (operation == OSSL_OP_KEYMGMT) return kKeyTypes;
    return operation == OSSL_OP_KEM ? kKems : nullptr;
}

int describe_groups(void*, const char* capability, OSSL_CALLBACK* call, void* argument) {
    if (std::strcmp(capability, "TLS-GROUP") != 0) return 1;
    static unsigned id = 0x11EC;  // draft-ietf-tls-ecdhe-mlkem
    static unsigned bits = 192;
    static unsigned is_kem = 1;
    static int from = 0x0304;
    static int none = -1;
    static int open = 0;
    char name[] = "X25519MLKEM768";
    const OSSL_PARAM group[] = {
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME, name, sizeof name),
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, name, sizeof name),
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_ALG, name, sizeof name),
        OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &id),
        OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &bits),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &from),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &open),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &none),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &none),
        OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_IS_KEM, &is_kem),
        OSSL_PARAM_END};
    return call(group, argument);
}

int start_mock(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** functions,
               void** context) {
    static const OSSL_DISPATCH kFunctions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, as_function(query)},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, as_function(describe_groups)},
        {0, nullptr}};
    static int something = 0;
    *functions = kFunctions;
    *context = &something;
    return 1;
}

bool load_mock() {
    return OSSL_PROVIDER_load(nullptr, "default") != nullptr &&
           OSSL_PROVIDER_add_builtin(nullptr, "frsh-mock", start_mock) == 1 &&
           OSSL_PROVIDER_load(nullptr, "frsh-mock") != nullptr;
}

// Calls `act` in a child process, since a provider that is loaded stays. Returns its result.
std::string in_a_child(const std::function<std::string()>& act) {
    frsh::Pipe answer = frsh::make_pipe();
    const pid_t pid = ::fork();
    REQUIRE(pid != -1);
    if (pid == 0) {
        std::string text;
        try {
            text = act();
        } catch (const std::exception& error) {
            text = error.what();
        }
        frsh::write_all(answer.write_end.get(), text);
        ::_exit(0);
    }
    answer.write_end.close();
    std::string text(4096, '\0');
    std::size_t size = 0;
    for (;;) {
        const ssize_t got = ::read(answer.read_end.get(), text.data() + size, text.size() - size);
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    ::waitpid(pid, nullptr, 0);
    return text.substr(0, size);
}

// Shakes hands. Returns the groups that client and server record, and whether all is well.
std::string shake_hands(const TlsContext& server_side, const TlsContext& client_side) {
    auto [ours, theirs] = frsh::make_socketpair();
    TlsTransport server(std::move(ours), server_side);
    TlsTransport client(std::move(theirs), client_side);
    int retries = 0;
    for (;;) {
        if (client.handshake() != Handshake::WantsRead) return "the client does not wait";
        const Handshake step = server.handshake();
        if (step == Handshake::Greet) break;
        if (step != Handshake::WantsRead || ++retries > 1) return "the server does not answer";
    }
    const std::string bound = server.exporter();
    server.greet("hello");
    if (client.handshake() != Handshake::Done) return "the client is not done";
    if (server.handshake() != Handshake::Done) return "the server is not done";
    if (client.exporter() != bound || server.exporter() != bound) return "two bindings";
    char buffer[16];
    if (client.read(buffer, sizeof buffer).bytes != 5) return "no greeting";
    client.write("up");
    if (server.read(buffer, sizeof buffer).bytes != 2) return "no bytes";
    return client.parameters().group + " " + server.parameters().group + ", retries " +
           std::to_string(retries);
}

}  // namespace

// OpenSSL 3.5 has the group itself, and then no side lacks it.
#if OPENSSL_VERSION_NUMBER < 0x30500000L
TEST_CASE("tls groups: X25519MLKEM768 is preferred and recorded where both sides have it") {
    const std::string result = in_a_child([]() -> std::string {
        if (!load_mock()) return "no mock";
        const TlsContext server(TlsContext::Side::Server);
        const TlsContext client(TlsContext::Side::Client);
        return shake_hands(server, client);
    });
    CHECK(result == "X25519MLKEM768 X25519MLKEM768, retries 0");
}

TEST_CASE("tls groups: a client that has the group gets in where the server lacks it") {
    const std::string result = in_a_child([]() -> std::string {
        const TlsContext server(TlsContext::Side::Server);
        if (!load_mock()) return "no mock";
        const TlsContext client(TlsContext::Side::Client);
        return shake_hands(server, client);
    });
    CHECK(result == "X25519 X25519, retries 1");
}

TEST_CASE("tls groups: a client that lacks the group gets in where the server has it") {
    const std::string result = in_a_child([]() -> std::string {
        const TlsContext client(TlsContext::Side::Client);
        if (!load_mock()) return "no mock";
        const TlsContext server(TlsContext::Side::Server);
        return shake_hands(server, client);
    });
    CHECK(result == "X25519 X25519, retries 0");
}
#endif
