#include "common/net/tls.hpp"

#include "common/base/error.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace std::chrono_literals;
using namespace std::string_literals;
using frsh::Fd;
using frsh::IoResult;
using frsh::TlsContext;
using frsh::TlsError;
using frsh::TlsTransport;
using Handshake = TlsTransport::Handshake;
using Status = IoResult::Status;

namespace {

const TlsContext& server_context() {
    static const TlsContext context(TlsContext::Side::Server);
    return context;
}
const TlsContext& client_context() {
    static const TlsContext context(TlsContext::Side::Client);
    return context;
}

struct Pair {
    Pair() : Pair(frsh::make_socketpair()) {}
    explicit Pair(std::pair<Fd, Fd> ends)
        : server(std::move(ends.first), server_context()),
          client(std::move(ends.second), client_context()) {}

    void shake_hands(std::string_view greeting = "hello") {
        REQUIRE(client.handshake() == Handshake::WantsRead);
        REQUIRE(server.handshake() == Handshake::Greet);
        server.greet(greeting);
        REQUIRE(client.handshake() == Handshake::Done);
        REQUIRE(server.handshake() == Handshake::Done);
    }

    TlsTransport server;
    TlsTransport client;
};

std::string read_all(TlsTransport& transport) {
    std::string all;
    char buffer[50000];
    for (;;) {
        const IoResult got = transport.read(buffer, sizeof buffer);
        if (got.status != Status::Done) return all;
        all.append(buffer, got.bytes);
    }
}

std::string reason_of(TlsTransport& transport) {
    try {
        for (int i = 0; i < 10; ++i) {
            if (transport.handshake() == Handshake::Done) return "no failure";
        }
        return "still waiting";
    } catch (const TlsError& error) {
        return error.what();
    }
}

// A peer made of bare OpenSSL, which can be told to behave in ways that ours cannot.
struct OtherTls {
    explicit OtherTls(int fd, bool is_server = false)
        : context(SSL_CTX_new(TLS_method())), ssl(SSL_new(context)) {
        SSL_set_fd(ssl, fd);
        if (is_server) {
            SSL_set_accept_state(ssl);
        } else {
            SSL_set_connect_state(ssl);
        }
    }
    ~OtherTls() {
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
    OtherTls(const OtherTls&) = delete;
    OtherTls& operator=(const OtherTls&) = delete;

    SSL_CTX* context;
    SSL* ssl;
};

// A client that is not ours, let in and greeted by a server that is.
void shake_hands(TlsTransport& server, const OtherTls& other) {
    static const unsigned char kFrsh[] = {6, 'f', 'r', 's', 'h', '/', '1'};
    SSL_set_alpn_protos(other.ssl, kFrsh, sizeof kFrsh);
    SSL_do_handshake(other.ssl);
    REQUIRE(server.handshake() == Handshake::Greet);
    server.greet("hello");
    CHECK(SSL_do_handshake(other.ssl) == 1);
    REQUIRE(server.handshake() == Handshake::Done);
}

}  // namespace

TEST_CASE("tls: the greeting arrives with the server's first flight") {
    Pair pair;
    REQUIRE(pair.client.handshake() == Handshake::WantsRead);
    REQUIRE(pair.server.handshake() == Handshake::Greet);
    CHECK(pair.server.handshake() == Handshake::Greet);  // A repeated call has the same answer.
    const std::string bound = pair.server.exporter();
    pair.server.greet("hello and proof");
    CHECK(pair.server.handshake() == Handshake::WantsRead);
    REQUIRE(pair.client.handshake() == Handshake::Done);
    CHECK(pair.client.has_buffered());
    CHECK(read_all(pair.client) == "hello and proof");
    CHECK_FALSE(pair.client.has_buffered());

    CHECK(bound.size() == 32);
    CHECK(pair.client.exporter() == bound);
    REQUIRE(pair.server.handshake() == Handshake::Done);
    CHECK(pair.server.exporter() == bound);
    CHECK(pair.client.description() == "TLSv1.3 TLS_AES_128_GCM_SHA256");
}

TEST_CASE("tls: two connections never share a channel binding") {
    Pair one;
    Pair two;
    one.shake_hands();
    two.shake_hands();
    CHECK(one.client.exporter() != two.client.exporter());
}

TEST_CASE("tls: each first flight is one write, the greeting included") {
    Pair pair;
    REQUIRE(pair.client.handshake() == Handshake::WantsRead);
    REQUIRE(pair.server.handshake() == Handshake::Greet);
    int waiting = -1;
    CHECK(::ioctl(pair.client.read_fd(), FIONREAD, &waiting) == 0);
    CHECK(waiting == 0);  // Held back, so that the greeting travels along.
    pair.server.greet("hello");
    CHECK(::ioctl(pair.client.read_fd(), FIONREAD, &waiting) == 0);
    CHECK(waiting > 0);
}

TEST_CASE("tls: a handshake that arrives byte by byte succeeds") {
    auto [server_end, to_server] = frsh::make_socketpair();
    auto [client_end, to_client] = frsh::make_socketpair();
    TlsTransport server(std::move(server_end), server_context());
    TlsTransport client(std::move(client_end), client_context());
    bool has_greeted = false;
    bool is_done = false;
    for (int i = 0; i < 100000 && !is_done; ++i) {
        const bool client_done = client.handshake() == Handshake::Done;
        const Handshake step = server.handshake();
        if (step == Handshake::Greet && !has_greeted) {
            has_greeted = true;
            server.greet("hello");
        }
        is_done = client_done && step == Handshake::Done;
        char byte = 0;
        if (::read(to_server.get(), &byte, 1) == 1) CHECK(::write(to_client.get(), &byte, 1) == 1);
        if (::read(to_client.get(), &byte, 1) == 1) CHECK(::write(to_server.get(), &byte, 1) == 1);
    }
    CHECK(is_done);
}

TEST_CASE("tls: unsent bytes are bounded and sent later") {
    Pair pair;
    pair.shake_hands();
    std::string sent;
    for (int i = 0;; ++i) {
        const std::string piece(40000, static_cast<char>('a' + i % 26));
        const IoResult put = pair.server.write(piece);
        if (put.status == Status::WouldBlock) break;
        REQUIRE(put.status == Status::Done);
        sent += piece.substr(0, put.bytes);
        REQUIRE(sent.size() < 10'000'000);
    }
    CHECK(pair.server.has_unsent());
    CHECK(pair.server.unsent_size() < 70000);
    std::string received = read_all(pair.client).substr(5);  // Behind "hello".
    for (int i = 0; i < 1000 && pair.server.has_unsent(); ++i) {
        CHECK(pair.server.write("").status == Status::Done);
        received += read_all(pair.client);
    }
    CHECK_FALSE(pair.server.has_unsent());
    received += read_all(pair.client);
    CHECK(received == sent);
}

TEST_CASE("tls: one call reads many records and reports buffered ones") {
    Pair pair;
    pair.shake_hands();
    CHECK(read_all(pair.client) == "hello");
    for (int i = 0; i < 20; ++i) {
        CHECK(pair.server.write("0123456789").bytes == 10);
    }
    char buffer[64];
    IoResult got = pair.client.read(buffer, 25);
    CHECK(got.bytes == 25);
    CHECK(pair.client.has_buffered());
    std::size_t total = got.bytes;
    while (pair.client.has_buffered())
        total += pair.client.read(buffer, sizeof buffer).bytes;
    CHECK(total == 200);
}

TEST_CASE("tls: half a record is not reported as buffered") {
    auto [server_end, near] = frsh::make_socketpair();
    auto [client_end, far] = frsh::make_socketpair();
    TlsTransport server(std::move(server_end), server_context());
    TlsTransport client(std::move(client_end), client_context());
    const auto carry = [](int from, int to, std::size_t limit) {
        std::string bytes(limit, '\0');
        const ssize_t got = ::read(from, bytes.data(), bytes.size());
        if (got <= 0) return;
        CHECK(::write(to, bytes.data(), static_cast<std::size_t>(got)) == got);
    };
    static_cast<void>(client.handshake());
    carry(far.get(), near.get(), 65536);
    REQUIRE(server.handshake() == Handshake::Greet);
    server.greet("hello");
    carry(near.get(), far.get(), 65536);
    REQUIRE(client.handshake() == Handshake::Done);
    carry(far.get(), near.get(), 65536);
    REQUIRE(server.handshake() == Handshake::Done);
    CHECK(read_all(client) == "hello");

    CHECK(server.write("a whole record").status == Status::Done);
    CHECK(server.write(std::string(1000, 'x')).status == Status::Done);
    carry(near.get(), far.get(), 200);  // The first, and a part of the second.
    char buffer[4096];
    CHECK(client.read(buffer, sizeof buffer).bytes == 14);
    for (int i = 0; i < 2 && client.has_buffered(); ++i) {
        CHECK(client.read(buffer, sizeof buffer).status == Status::WouldBlock);
    }
    CHECK_FALSE(client.has_buffered());
    carry(near.get(), far.get(), 65536);
    CHECK(client.read(buffer, sizeof buffer).bytes == 1000);
}

TEST_CASE("tls: a clean end differs from a connection that was cut") {
    char buffer[16];
    SUBCASE("a goodbye") {
        Pair pair;
        pair.shake_hands();
        CHECK(read_all(pair.client) == "hello");
        CHECK(pair.server.write("last").bytes == 4);
        pair.server.finish_writing();
        CHECK(pair.client.read(buffer, sizeof buffer).bytes == 4);
        CHECK(pair.client.has_buffered());  // OpenSSL holds the end already, so poll(2) might never
                                            // report it.
        CHECK(pair.client.read(buffer, sizeof buffer).status == Status::EndOfFile);
        CHECK(pair.client.closed_cleanly());
        CHECK(pair.client.write("still open this way").status == Status::Done);
        CHECK(read_all(pair.server) == "still open this way");
    }
    SUBCASE("cut") {
        Pair pair;
        pair.shake_hands();
        ::shutdown(pair.server.read_fd(), SHUT_RDWR);
        CHECK(read_all(pair.client) == "hello");
        CHECK(pair.client.read(buffer, sizeof buffer).status == Status::EndOfFile);
        CHECK_FALSE(pair.client.closed_cleanly());
        CHECK(pair.client.write("x").status == Status::EndOfFile);
    }
}

TEST_CASE("tls: closing waits for the peer up to the time limit") {
    Pair pair;
    pair.shake_hands();
    const auto before = std::chrono::steady_clock::now();
    pair.client.close_and_wait(50ms);  // The server says nothing.
    CHECK(std::chrono::steady_clock::now() - before >= 50ms);
    CHECK(std::chrono::steady_clock::now() - before < 2s);
    pair.server.finish_writing();
    pair.client.close_and_wait(1h);
}

TEST_CASE("tls: a changed byte fails, bytes before it are delivered") {
    auto [server_end, near] = frsh::make_socketpair();
    auto [client_end, far] = frsh::make_socketpair();
    TlsTransport server(std::move(server_end), server_context());
    TlsTransport client(std::move(client_end), client_context());
    char bytes[65536];
    const auto carry = [&](int from, int to, bool bend) {
        const ssize_t got = ::read(from, bytes, sizeof bytes);
        if (got <= 0) return;
        if (bend) bytes[got - 1] ^= 1;
        CHECK(::write(to, bytes, static_cast<std::size_t>(got)) == got);
    };
    static_cast<void>(client.handshake());
    carry(far.get(), near.get(), false);
    REQUIRE(server.handshake() == Handshake::Greet);
    server.greet("hello");
    carry(near.get(), far.get(), false);
    REQUIRE(client.handshake() == Handshake::Done);
    carry(far.get(), near.get(), false);
    REQUIRE(server.handshake() == Handshake::Done);
    CHECK(read_all(client) == "hello");
    CHECK(server.write("good").bytes == 4);
    CHECK(server.write("bad").bytes == 3);
    carry(near.get(), far.get(), true);
    char buffer[64];
    const IoResult got = client.read(buffer, sizeof buffer);
    CHECK(std::string(buffer, got.bytes) == "good");
    CHECK(client.has_buffered());
    CHECK_THROWS_AS(client.read(buffer, sizeof buffer), TlsError);
}

TEST_CASE("tls: the error names the other protocol of a peer") {
    const auto client_meets = [](const std::string& bytes) {
        auto [near, far] = frsh::make_socketpair();
        CHECK(::write(far.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        TlsTransport client(std::move(near), client_context());
        return reason_of(client);
    };
    const auto server_meets = [](const std::string& bytes) {
        auto [near, far] = frsh::make_socketpair();
        CHECK(::write(far.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        TlsTransport server(std::move(near), server_context());
        return reason_of(server);
    };
    CHECK(client_meets("SSH-2.0-OpenSSH_9.2\r\n") == "TLS: that is an SSH server, not frsh");
    CHECK(client_meets("HTTP/1.1 400 Bad Request\r\n") == "TLS: that is a web server, not frsh");
    CHECK(client_meets("220 mail\x1b[2J\r\n") == "TLS: that is a mail (SMTP) server, not frsh");
    CHECK(client_meets("Hello\x1b[2J\r\n") ==
          "TLS: the server is not frsh; it sent \"Hello\\x1b[2J\\x0d\\x0a\"");
    CHECK(server_meets("SSH-2.0-Go\r\n") == "TLS: that is an SSH client, not frsh");
    CHECK(server_meets("GET / HTTP/1.1\r\n") == "TLS: that is a web client, not frsh");
    CHECK(server_meets("\0\0\0\x02{}"s) ==
          "TLS: the client is not frsh; it sent \"\\x00\\x00\\x00\\x02{}\"");
}

TEST_CASE("tls: a close before the first byte has its own error") {
    for (const bool is_half_way : {false, true}) {
        auto [near, far] = frsh::make_socketpair();
        if (is_half_way) CHECK(::write(far.get(), "\x16\x03\x01", 3) == 3);
        ::shutdown(far.get(), SHUT_WR);
        TlsTransport server(std::move(near), server_context());
        CHECK(reason_of(server) == (is_half_way
                                        ? "TLS: the peer closed the connection half-way"
                                        : "TLS: the peer closed the connection without a word"));
    }
}

TEST_CASE("tls: a busy server's plain refusal can be read") {
    auto [near, far] = frsh::make_socketpair();
    const std::string frame = "\0\0\0\x10{\"type\":\"error\"}"s;
    CHECK(::write(far.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()));
    ::shutdown(far.get(), SHUT_WR);
    TlsTransport client(std::move(near), client_context());
    CHECK(client.handshake() == Handshake::Refused);
    CHECK(client.handshake() == Handshake::Refused);
    std::string received;
    char buffer[7];
    for (;;) {
        const IoResult got = client.read(buffer, sizeof buffer);
        if (got.status != Status::Done) break;
        received.append(buffer, got.bytes);
    }
    CHECK(received == frame);
}

TEST_CASE("tls: a client with other TLS parameters is refused") {
    const auto meet = [](const std::function<void(SSL*)>& adapt) {
        auto [near, far] = frsh::make_socketpair();
        TlsTransport server(std::move(near), server_context());
        const OtherTls other(far.get());
        adapt(other.ssl);
        SSL_do_handshake(other.ssl);
        std::string reason = reason_of(server);
        // The client must have been told by an alert, not left waiting.
        CHECK(SSL_do_handshake(other.ssl) <= 0);
        CHECK(SSL_get_error(other.ssl, -1) == SSL_ERROR_SSL);
        return reason;
    };
    static const unsigned char kHttp[] = {2, 'h', '2'};
    static const unsigned char kFrsh[] = {6, 'f', 'r', 's', 'h', '/', '1'};
    CHECK(meet([](SSL*) {}) == "TLS: the peer speaks TLS, but not frsh/1");
    CHECK(meet([](SSL* ssl) { SSL_set_alpn_protos(ssl, kHttp, sizeof kHttp); }) ==
          "TLS: the peer speaks TLS, but not frsh/1");
    CHECK(meet([](SSL* ssl) {
              SSL_set_alpn_protos(ssl, kFrsh, sizeof kFrsh);
              SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
          }) == "TLS: the peer does not speak TLS 1.3");
    CHECK(meet([](SSL* ssl) {
              SSL_set_alpn_protos(ssl, kFrsh, sizeof kFrsh);
              SSL_set1_groups_list(ssl, "P-256");
          }) == "TLS: the peer speaks TLS, but not as frsh does");
}

TEST_CASE("tls: a server without ALPN frsh/1 is refused") {
    auto [near, far] = frsh::make_socketpair();
    TlsTransport client(std::move(near), client_context());
    CHECK(client.handshake() == Handshake::WantsRead);
    const OtherTls other(far.get(), true);
    // The certificate of a server of ours, behind a server that knows no ALPN.
    SSL_use_certificate(other.ssl, SSL_CTX_get0_certificate(server_context().handle()));
    SSL_use_PrivateKey(other.ssl, SSL_CTX_get0_privatekey(server_context().handle()));
    SSL_do_handshake(other.ssl);
    CHECK(reason_of(client) == "TLS: the peer speaks TLS, but not frsh/1");
}

TEST_CASE("tls: only a client without frsh's PSK gets a certificate") {
    const auto first_flight = [](const std::function<void(int)>& greet_server) {
        auto [near, far] = frsh::make_socketpair();
        TlsTransport server(std::move(near), server_context());
        greet_server(far.get());
        REQUIRE(server.handshake() == Handshake::Greet);
        server.greet("hello");
        int size = 0;
        REQUIRE(::ioctl(far.get(), FIONREAD, &size) == 0);
        return size;
    };
    const int to_others = first_flight([](int fd) {
        static const unsigned char kFrsh[] = {6, 'f', 'r', 's', 'h', '/', '1'};
        const OtherTls other(fd);
        SSL_set_alpn_protos(other.ssl, kFrsh, sizeof kFrsh);
        SSL_do_handshake(other.ssl);
    });
    const int to_ours = first_flight([](int fd) {
        const TlsContext context(TlsContext::Side::Client);
        TlsTransport client(Fd(::dup(fd)), context);
        CHECK(client.handshake() == Handshake::WantsRead);
    });
    const int certificate = i2d_X509(SSL_CTX_get0_certificate(server_context().handle()), nullptr);
    CHECK(to_others >= to_ours + certificate);
}

TEST_CASE("tls: the public PSK is never used without X25519") {
    // A client that allows logins without X25519 gets it all the same, or is refused.
    for (const bool may_have_both : {true, false}) {
        auto [near, far] = frsh::make_socketpair();
        TlsTransport server(std::move(near), server_context());
        const OtherTls other(far.get());
        SSL_set_options(other.ssl, SSL_OP_ALLOW_NO_DHE_KEX);
        SSL_set_ciphersuites(other.ssl, "TLS_AES_128_GCM_SHA256");
        SSL_set_psk_use_session_callback(
            other.ssl, [](SSL* ssl, const EVP_MD*, const unsigned char** name, std::size_t* size,
                          SSL_SESSION** session) {
                static const unsigned char kSuite[] = {0x13, 0x01};
                static const unsigned char kZeros[32] = {};
                *session = SSL_SESSION_new();
                SSL_SESSION_set1_master_key(*session, kZeros, sizeof kZeros);
                SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, kSuite));
                SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
                *name = reinterpret_cast<const unsigned char*>("frsh/1");
                *size = 6;
                return 1;
            });
        if (!may_have_both) {
            static const unsigned char kFrsh[] = {6, 'f', 'r', 's', 'h', '/', '1'};
            SSL_set_alpn_protos(other.ssl, kFrsh, sizeof kFrsh);
            SSL_set1_groups_list(other.ssl, "P-256");
            SSL_do_handshake(other.ssl);
            CHECK(reason_of(server) == "TLS: the peer speaks TLS, but not as frsh does");
            continue;
        }
        shake_hands(server, other);
        CHECK(SSL_session_reused(other.ssl) == 1);
        CHECK(SSL_get_negotiated_group(other.ssl) == NID_X25519);
    }
}

TEST_CASE("tls: a client whose first key share is of another group gets in") {
    static const unsigned char kFrsh[] = {6, 'f', 'r', 's', 'h', '/', '1'};
    auto [ours, theirs] = frsh::make_socketpair();
    TlsTransport server(std::move(ours), server_context());
    const OtherTls other(theirs.get());
    REQUIRE(SSL_set1_groups_list(other.ssl, "P-256:X25519") == 1);  // One share, of the first.
    SSL_set_alpn_protos(other.ssl, kFrsh, sizeof kFrsh);
    SSL_do_handshake(other.ssl);
    REQUIRE(server.handshake() == Handshake::WantsRead);  // It has sent a HelloRetryRequest.
    REQUIRE(server.handshake() == Handshake::WantsRead);
    SSL_do_handshake(other.ssl);
    REQUIRE(server.handshake() == Handshake::Greet);
    REQUIRE(server.handshake() == Handshake::Greet);
    CHECK(server.parameters().group == "X25519");
    server.greet("hello");
    CHECK(SSL_do_handshake(other.ssl) == 1);
    REQUIRE(server.handshake() == Handshake::Done);
    char buffer[16];
    REQUIRE(SSL_read(other.ssl, buffer, sizeof buffer) == 5);
    CHECK(std::string_view(buffer, 5) == "hello");
    unsigned char bound[32];
    CHECK(SSL_export_keying_material(other.ssl, bound, sizeof bound, "EXPORTER-Channel-Binding", 24,
                                     nullptr, 0, 0) == 1);
    CHECK(server.exporter() == std::string_view(reinterpret_cast<char*>(bound), sizeof bound));
}

TEST_CASE("tls: no session can be resumed") {
    auto [near, far] = frsh::make_socketpair();
    TlsTransport server(std::move(near), server_context());
    const OtherTls other(far.get());
    shake_hands(server, other);
    char buffer[64];
    CHECK(SSL_read(other.ssl, buffer, sizeof buffer) == 5);
    CHECK(SSL_read(other.ssl, buffer, sizeof buffer) ==
          -1);  // This client accepts session tickets. None must arrive.
    CHECK(SSL_SESSION_is_resumable(SSL_get0_session(other.ssl)) == 0);
}

TEST_CASE("tls: a peer that floods with key updates is cut off") {
    auto [near, far] = frsh::make_socketpair();
    TlsTransport server(std::move(near), server_context());
    const OtherTls other(far.get());
    shake_hands(server, other);
    char buffer[64];
    bool was_cut = false;
    for (int i = 0; i < 200000 && !was_cut; ++i) {
        SSL_key_update(other.ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(other.ssl);
        try {
            static_cast<void>(server.read(buffer, sizeof buffer));
        } catch (const TlsError&) {
            was_cut = true;
        }
        REQUIRE(server.unsent_size() < 300'000);
    }
    CHECK(was_cut);
}

TEST_CASE("tls: a context works after warm-up") {
    const TlsContext context(TlsContext::Side::Server);
    context.warm_up();
    context.warm_up();
    auto [near, far] = frsh::make_socketpair();
    TlsTransport server(std::move(near), context);
    TlsTransport client(std::move(far), client_context());
    static_cast<void>(client.handshake());
    CHECK(server.handshake() == Handshake::Greet);
}

TEST_CASE("tls: all short records have one length") {
    Pair pair;
    pair.shake_hands();
    CHECK(read_all(pair.client) == "hello");
    int first = 0;
    for (std::size_t size = 1; size < 60; ++size) {
        CHECK(pair.client.write(std::string(size, 'x')).bytes == size);
        int waiting = 0;
        CHECK(::ioctl(pair.server.read_fd(), FIONREAD, &waiting) == 0);
        if (first == 0) first = waiting;
        CHECK(waiting == first);
        read_all(pair.server);
    }
}

TEST_CASE("tls: the first key exchange list that OpenSSL accepts is used") {
    const std::string best = "X25519MLKEM768:X25519";
    CHECK(frsh::choose_key_exchange([](const char*) { return true; }) == best);
    CHECK(frsh::choose_key_exchange([&](const char* list) { return list != best; }) == "X25519"s);
    CHECK(frsh::choose_key_exchange([](const char*) { return false; }) == nullptr);
}
