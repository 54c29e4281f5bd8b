#include "common/base/error.hpp"
#include "common/keys/crypto.hpp"
#include "common/net/tls.hpp"

#include <array>
#include <memory>
#include <string>
#include <utility>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace frsh {
namespace {

constexpr std::size_t kReadBuffer = std::size_t{64} * 1024;
constexpr std::size_t kRecordPadding = 64;

// Refuses a ClientHello without ALPN before it gets an answer. OpenSSL calls select_alpn only if
// the client offers a protocol.
int check_client_hello(SSL* ssl, int* alert, void*) {
    const unsigned char* extension = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                  &extension, &size) == 1) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    *alert = TLS1_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

int select_alpn(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                const unsigned char* offered, unsigned offered_size, void*) {
    for (unsigned at = 0; at < offered_size; at += 1U + offered[at]) {
        const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
        if (at + 1 + name.size() > offered_size) break;
        if (name == kAlpn) {
            *chosen = offered + at + 1;
            *chosen_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Both sides use a pre-shared key of 32 zero bytes, so the server sends no certificate and no
// signature. Those are half the cost of a handshake. The key is public and authenticates no peer;
// neither would the anonymous certificate. All secrecy comes from the key exchange (psk_dhe_ke):
// where there is no pre-shared key, RFC 8446, section 7.1, uses the same zeros. Each peer is
// authenticated after the handshake, by a signature over this connection's exporter (proof.hpp).
constexpr std::string_view kPublicPskIdentity = kAlpn;

SSL_SESSION* make_public_psk_session(SSL* ssl) {
    constexpr std::array<unsigned char, 32> kZero{};
    constexpr std::array<unsigned char, 2> kSuite = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256
    SSL_SESSION* const session = SSL_SESSION_new();
    const SSL_CIPHER* const cipher = SSL_CIPHER_find(ssl, kSuite.data());
    if (session != nullptr && cipher != nullptr &&
        SSL_SESSION_set1_master_key(session, kZero.data(), kZero.size()) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1) {
        return session;
    }
    SSL_SESSION_free(session);
    return nullptr;
}

// The server's callback. For an unknown identity, the handshake goes on with the certificate.
int find_session(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
    const std::string_view name(reinterpret_cast<const char*>(identity), size);
    *session = name == kPublicPskIdentity ? make_public_psk_session(ssl) : nullptr;
    return name != kPublicPskIdentity || *session != nullptr ? 1 : 0;
}

// The client's callback. OpenSSL calls it again, with a digest, after a HelloRetryRequest.
int offer_session(SSL* ssl, const EVP_MD* digest, const unsigned char** identity, std::size_t* size,
                  SSL_SESSION** session) {
    *session = nullptr;
    if (digest != nullptr && !EVP_MD_is_a(digest, "SHA256")) return 1;
    *session = make_public_psk_session(ssl);
    *identity = reinterpret_cast<const unsigned char*>(kPublicPskIdentity.data());
    *size = kPublicPskIdentity.size();
    return *session != nullptr ? 1 : 0;
}

// X25519MLKEM768 keeps recorded traffic secret from a future quantum computer, too.
void set_key_exchange(SSL_CTX* context) {
    const auto accepts = [context](const char* list) {
        return SSL_CTX_set1_groups_list(context, list) == 1;
    };
    if (choose_key_exchange(accepts) == nullptr) throw_openssl("TLS key exchange");
    ERR_clear_error();  // A rejected list leaves an error in the queue.
}

void add_anonymous_certificate(SSL_CTX* context) {
    const KeyHandle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
    if (!key || !certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) != 1 ||
        ASN1_TIME_set_string(X509_getm_notBefore(certificate.get()), "20200101000000Z") != 1 ||
        ASN1_TIME_set_string(X509_getm_notAfter(certificate.get()), "99991231235959Z") != 1 ||
        X509_set_pubkey(certificate.get(), key.get()) != 1 ||
        X509_sign(certificate.get(), key.get(), nullptr) == 0 ||
        SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
        throw_openssl("TLS certificate");
    }
}

}  // namespace

TlsContext::TlsContext(Side side) : side_(side) {
    initialise_openssl();
    // Without this call, SSL_CTX_new(3) loads libssl's error strings.
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_SSL_STRINGS | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) !=
        1) {
        throw_openssl("TLS");
    }
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                              &SSL_CTX_free);
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(),
                                 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                 "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_set1_sigalgs_list(context.get(), "ed25519") != 1) {
        throw_openssl("TLS");
    }
    set_key_exchange(context.get());
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    // The client would not read a ticket that follows the handshake. With unread bytes, close(2)
    // sends a reset, which may overtake the last output.
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_block_padding(context.get(),
                              kRecordPadding);  // All keystrokes have the same size on the wire.
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), kReadBuffer);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // See tls.hpp.
    if (side == Side::Server) {
        SSL_CTX_set_client_hello_cb(context.get(), check_client_hello, nullptr);
        SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
        SSL_CTX_set_psk_find_session_callback(context.get(), find_session);
        add_anonymous_certificate(context.get());
    } else {
        SSL_CTX_set_psk_use_session_callback(context.get(), offer_session);
        // A list of one name; a length byte comes before each name.
        const std::string offer = std::string(1, static_cast<char>(kAlpn.size())).append(kAlpn);
        if (SSL_CTX_set_alpn_protos(context.get(),
                                    reinterpret_cast<const unsigned char*>(offer.data()),
                                    static_cast<unsigned>(offer.size())) != 0) {
            throw_openssl("TLS");  // SSL_CTX_set_alpn_protos(3) returns 0 for success.
        }
    }
    context_ = context.release();
}

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

void TlsContext::warm_up() const {
    must(side() == Side::Server, "a server warms up");
    static const auto* const client_side =
        new TlsContext(Side::Client);  // Child processes share it.
    auto [near, far] = make_socketpair();
    TlsTransport server(std::move(near), *this);
    TlsTransport client(std::move(far), *client_side);
    using Handshake = TlsTransport::Handshake;
    static_cast<void>(client.handshake());
    must(server.handshake() == Handshake::Greet, "a socketpair delivers at once");
    server.greet("hello");
    must(client.handshake() == Handshake::Done && server.handshake() == Handshake::Done,
         "a socketpair delivers at once");
    char buffer[16];
    client.read(buffer, sizeof buffer);
    static_cast<void>(client.exporter() == server.exporter());
}

}  // namespace frsh
