#include "common/keys/proof.hpp"

#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"
#include "common/keys/sshsig.hpp"
#include "common/net/tls.hpp"

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

using namespace std::string_literals;
using frsh::HostProof;
using frsh::PrivateKey;
using frsh::ProofContext;
using frsh::ProtocolError;
using frsh::TlsContext;
using frsh::TlsTransport;
using frsh::UserProof;
using frsh::WireWriter;

namespace {

ProofContext some_context() {
    return {frsh::random_bytes(32), frsh::random_bytes(16)};
}

HostProof prove_host(const PrivateKey& key, const ProofContext& context) {
    return {key.public_key(),
            frsh::sign_sshsig(key, frsh::kHostNamespace, frsh::host_proof_message(context))};
}

UserProof prove_user(const PrivateKey& key, const ProofContext& context,
                     const frsh::PublicKey& host, const std::string& user) {
    return {user, key.public_key(),
            frsh::sign_sshsig(key, frsh::kUserNamespace,
                              frsh::user_proof_message(context, host, user))};
}

const TlsContext& context_of(TlsContext::Side side) {
    static const TlsContext server(TlsContext::Side::Server);
    static const TlsContext client(TlsContext::Side::Client);
    return side == TlsContext::Side::Server ? server : client;
}

// Two ends of one TLS connection, after the handshake.
struct Connection {
    Connection() : Connection(frsh::make_socketpair()) {}
    explicit Connection(std::pair<frsh::Fd, frsh::Fd> ends)
        : server(std::move(ends.first), context_of(TlsContext::Side::Server)),
          client(std::move(ends.second), context_of(TlsContext::Side::Client)) {
        static_cast<void>(client.handshake());
        static_cast<void>(server.handshake());
        server.greet("hello");
        REQUIRE(client.handshake() == TlsTransport::Handshake::Done);
        REQUIRE(server.handshake() == TlsTransport::Handshake::Done);
    }
    TlsTransport server;
    TlsTransport client;
};

// Returns the values of PROTOCOL.md's test vectors by their names.
std::map<std::string, std::string> vectors_of_the_page() {
    std::ifstream page(std::string(FRSH_SOURCE_DIR) + "/common/proto/PROTOCOL.md");
    REQUIRE(page);
    constexpr std::size_t kNameWidth = 15;
    std::map<std::string, std::string> vectors;
    std::string name;
    std::string line;
    while (std::getline(page, line) && line != "```vectors")
        continue;
    while (std::getline(page, line) && line != "```") {
        // A long value continues on the next line, which has no name.
        const std::string column = line.substr(0, kNameWidth);
        if (line[0] != ' ') name = column.substr(0, column.find_last_not_of(' ') + 1);
        for (std::size_t at = kNameWidth; at < line.size(); at += 2)
            vectors[name] += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    }
    return vectors;
}

// `key` is the public half of the private key that `seed` is (RFC 8032).
PrivateKey key_from_seed(const std::string& seed, const std::string& blob) {
    const auto key = frsh::PublicKey::from_blob(blob);
    const std::string point = blob.substr(blob.size() - 32);
    const std::string fields = WireWriter().string(point).string(seed + point).take();
    return PrivateKey::from_openssh_fields(key, fields);
}

}  // namespace

TEST_CASE("proof: the test vectors of PROTOCOL.md are made byte for byte") {
    auto page = vectors_of_the_page();
    REQUIRE(page.size() == 13);
    const ProofContext context{page["E"], page["nonce"]};
    const PrivateKey host = key_from_seed(page["host seed"], page["host key"]);
    const PrivateKey user = key_from_seed(page["user seed"], page["user key"]);
    const std::string host_message = frsh::host_proof_message(context);
    CHECK(host_message == page["proof message"]);
    CHECK(frsh::sshsig_signed_data("host-v1@frsh", host_message) == page["proof signed"]);
    CHECK(frsh::encode(prove_host(host, context)) == page["proof payload"]);
    const std::string user_message =
        frsh::user_proof_message(context, host.public_key(), page["user"]);
    CHECK(user_message == page["auth message"]);
    CHECK(frsh::sshsig_signed_data("auth-v1@frsh", user_message) == page["auth signed"]);
    CHECK(frsh::encode(prove_user(user, context, host.public_key(), page["user"])) ==
          page["auth payload"]);
}

TEST_CASE("proof: the test vectors of PROTOCOL.md are accepted, and no changed byte is") {
    auto page = vectors_of_the_page();
    const ProofContext context{page["E"], page["nonce"]};
    const auto host_key = frsh::PublicKey::from_blob(page["host key"]);
    const auto is_good = [&](const std::string& host, const std::string& user) {
        try {
            return frsh::is_proven(frsh::parse_host_proof(host), context) &&
                   frsh::is_proven(frsh::parse_user_proof(user), context, host_key);
        } catch (const ProtocolError&) {
            return false;
        }
    };
    const std::string& host = page["proof payload"];
    const std::string& user = page["auth payload"];
    CHECK(is_good(host, user));
    for (const bool is_host : {true, false}) {
        for (std::size_t at = 0; at < (is_host ? host : user).size(); ++at) {
            CAPTURE(at);
            std::string changed = is_host ? host : user;
            changed[at] = static_cast<char>(changed[at] ^ 1);
            CHECK_FALSE(is_good(is_host ? changed : host, is_host ? user : changed));
        }
    }
}

TEST_CASE("proof: both sides accept proofs over one TLS connection") {
    const Connection connection;
    const std::string nonce = frsh::random_bytes(16);
    const ProofContext at_server{connection.server.exporter(), nonce};
    const ProofContext at_client{connection.client.exporter(), nonce};
    const PrivateKey host = PrivateKey::generate_ed25519();
    const PrivateKey user = PrivateKey::generate_ed25519();

    const HostProof shown = frsh::parse_host_proof(frsh::encode(prove_host(host, at_server)));
    CHECK(shown.key == host.public_key());
    CHECK(frsh::is_proven(shown, at_client));

    const UserProof login =
        frsh::parse_user_proof(frsh::encode(prove_user(user, at_client, shown.key, "alice")));
    CHECK(login.user == "alice");
    CHECK(login.key == user.public_key());
    CHECK(frsh::is_proven(login, at_server, host.public_key()));
}

TEST_CASE("proof: proofs relayed to another TLS connection are refused") {
    const Connection to_client;  // The victim's connection: the relay is its server.
    const Connection to_server;  // The relay is the client of this connection.
    const std::string nonce = frsh::random_bytes(16);
    const PrivateKey host = PrivateKey::generate_ed25519();
    const PrivateKey user = PrivateKey::generate_ed25519();
    const ProofContext victim{to_client.client.exporter(), nonce};
    const ProofContext target{to_server.server.exporter(), nonce};
    CHECK_FALSE(frsh::is_proven(prove_host(host, target), victim));
    CHECK_FALSE(frsh::is_proven(prove_user(user, victim, host.public_key(), "alice"), target,
                                host.public_key()));
}

TEST_CASE("proof: a login holds for one connection, host and user") {
    const ProofContext context = some_context();
    const PrivateKey key = PrivateKey::generate_ed25519();
    const auto host = PrivateKey::generate_ed25519().public_key();
    const UserProof login = prove_user(key, context, host, "alice");
    CHECK(frsh::is_proven(login, context, host));

    CHECK_FALSE(frsh::is_proven(login, {context.binding, frsh::random_bytes(16)}, host));
    CHECK_FALSE(frsh::is_proven(login, {frsh::random_bytes(32), context.nonce}, host));
    CHECK_FALSE(frsh::is_proven(login, context, PrivateKey::generate_ed25519().public_key()));
    UserProof other = login;
    other.user = "root";
    CHECK_FALSE(frsh::is_proven(other, context, host));
    other = login;
    other.key = PrivateKey::generate_ed25519().public_key();
    CHECK_FALSE(frsh::is_proven(other, context, host));
}

TEST_CASE("proof: a host's proof and a login cannot be exchanged") {
    const ProofContext context = some_context();
    const PrivateKey key = PrivateKey::generate_ed25519();
    const std::string message = frsh::user_proof_message(context, key.public_key(), "alice");
    const auto login = [&](std::string_view name_space) {
        return UserProof{"alice", key.public_key(), frsh::sign_sshsig(key, name_space, message)};
    };
    CHECK(frsh::is_proven(login("auth-v1@frsh"), context, key.public_key()));
    for (const char* foreign : {"host-v1@frsh", "git", "file", "auth-v2@frsh"}) {
        CHECK_FALSE(frsh::is_proven(login(foreign), context, key.public_key()));
    }
    const HostProof wrong{key.public_key(), frsh::sign_sshsig(key, "auth-v1@frsh",
                                                              frsh::host_proof_message(context))};
    CHECK_FALSE(frsh::is_proven(wrong, context));
    // As an SSH server's key signs, and as a client signs an SSH login.
    CHECK_FALSE(frsh::is_proven(
        HostProof{key.public_key(), key.sign(frsh::host_proof_message(context))}, context));
}

TEST_CASE("proof: a payload of a wrong size or content is refused") {
    const PrivateKey key = PrivateKey::generate_ed25519();
    const std::string blob = key.public_key().blob();
    const std::string good = frsh::encode(UserProof{"alice", key.public_key(), "signature"});
    CHECK_NOTHROW(static_cast<void>(frsh::parse_user_proof(good)));
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_THROWS_AS(static_cast<void>(frsh::parse_user_proof(good.substr(0, size))),
                        ProtocolError);
    }
    const auto proof = [&](const std::string& user) {
        return WireWriter().string(user).string(blob).string("signature").take();
    };
    for (const std::string& bad :
         {good + "\0"s, proof(""), proof("alice\0root"s), proof(std::string(257, 'a')),
          WireWriter().string("alice").string(blob + "x").string("s").take(),
          WireWriter().string("alice").string(blob).string(std::string(20000, 's')).take()}) {
        CHECK_THROWS_AS(static_cast<void>(frsh::parse_user_proof(bad)), ProtocolError);
    }
    const std::string host = frsh::encode(HostProof{key.public_key(), "signature"});
    CHECK(frsh::parse_host_proof(host).signature == "signature");
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_host_proof(host + "x")), ProtocolError);
}

TEST_CASE("proof: a probe lists one to six keys in their order") {
    frsh::UserProbe probe{"alice", {}};
    for (int i = 0; i < 6; ++i)
        probe.keys.push_back(PrivateKey::generate_ed25519().public_key());
    const std::string six = frsh::encode(probe);
    CHECK(frsh::parse_user_probe(six).user == "alice");
    CHECK(frsh::parse_user_probe(six).keys == probe.keys);
    const std::string seven = six + WireWriter().string(probe.keys[0].blob()).take();
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_user_probe(seven)), ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_user_probe(WireWriter().string("alice").take())),
                    ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_user_probe(six + "x")), ProtocolError);
}
