#include "common/keys/ssh_key.hpp"

#include "common/base/error.hpp"
#include "common/keys/private_key.hpp"
#include "common/keys/ssh_wire.hpp"
#include "tests/support/ssh_tools.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace std::string_literals;
using frsh::KeyType;
using frsh::PrivateKey;
using frsh::ProtocolError;
using frsh::PublicKey;
using frsh::WireWriter;

namespace {

std::string ed25519_blob(std::string_view point) {
    return WireWriter().string("ssh-ed25519").string(point).take();
}

std::string rsa_blob(std::string_view e, std::string_view n) {
    return WireWriter().string("ssh-rsa").mpint(e).mpint(n).take();
}

std::string odd_modulus(std::size_t bytes) {
    std::string n(bytes, '\x5A');
    n.front() = '\xC1';
    n.back() = '\x01';
    return n;
}

}  // namespace

TEST_CASE("ssh key: every type is read and has ssh-keygen's fingerprint") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    struct Made {
        const char* type;
        const char* bits;
        KeyType expected;
        const char* label;
    };
    for (const Made& made : {Made{"ed25519", "", KeyType::Ed25519, "ED25519"},
                             Made{"ecdsa", "256", KeyType::EcdsaP256, "ECDSA 256"},
                             Made{"ecdsa", "384", KeyType::EcdsaP384, "ECDSA 384"},
                             Made{"ecdsa", "521", KeyType::EcdsaP521, "ECDSA 521"},
                             Made{"rsa", "2048", KeyType::Rsa, "RSA 2048"}}) {
        const std::string name = made.type + std::string(made.bits);
        frsh::test::make_key(folder, name, made.type, made.bits);
        const std::string line = folder.read(name + ".pub");
        const frsh::CommentedKey read = frsh::parse_key_line(line);
        CHECK(read.key.type() == made.expected);
        CHECK(read.key.type_label() == made.label);
        CHECK(read.comment == "it's a comment");
        CHECK(read.key.text() + " it's a comment\n" == line);
        CHECK(PublicKey::from_blob(read.key.blob()) == read.key);
        const auto listed = frsh::test::run_tool(folder, {"ssh-keygen", "-l", "-f", name + ".pub"});
        CHECK(listed.output.find(read.key.fingerprint() + " ") != std::string::npos);
    }
}

TEST_CASE("ssh key: a blob that is too long or too short is refused") {
    const std::string blob = PrivateKey::generate_ed25519().public_key().blob();
    CHECK_THROWS_AS(PublicKey::from_blob(blob + "\0"s), ProtocolError);
    for (std::size_t size = 0; size < blob.size(); ++size) {
        CHECK_THROWS_AS(PublicKey::from_blob(blob.substr(0, size)), ProtocolError);
    }
}

TEST_CASE("ssh key: an RSA key of a wrong size or form is refused") {
    const std::string e = "\x01\0\x01"s;
    CHECK_NOTHROW(PublicKey::from_blob(rsa_blob(e, odd_modulus(256))));
    CHECK_NOTHROW(PublicKey::from_blob(rsa_blob(e, odd_modulus(2048))));
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob(e, odd_modulus(255))), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob(e, odd_modulus(2049))), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob("\x01", odd_modulus(256))), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob("\x04", odd_modulus(256))), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob(odd_modulus(9), odd_modulus(256))),
                    ProtocolError);
    std::string even = odd_modulus(256);
    even.back() = '\x02';
    CHECK_THROWS_AS(PublicKey::from_blob(rsa_blob(e, even)), ProtocolError);
}

TEST_CASE("ssh key: an invalid or compressed point is refused") {
    const auto blob = [](std::string_view point) {
        return WireWriter().string("ecdsa-sha2-nistp256").string("nistp256").string(point).take();
    };
    CHECK_THROWS_WITH_AS(PublicKey::from_blob(blob("\x04"s.append(64, 'x'))),
                         "public key: a point that is not on its curve", ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(blob("\x02"s.append(32, 'x'))), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_blob(blob("\0"s)), ProtocolError);
}

TEST_CASE("ssh key: weak and non-canonical ed25519 points are refused") {
    using namespace std::string_literals;
    const std::string zero(32, '\0');
    const std::string one = "\1"s + std::string(31, '\0');
    const std::string minus_one = "\xEC"s + std::string(30, '\xFF') + "\x7F";
    const std::string one_again = "\xEE"s + std::string(30, '\xFF') + "\x7F";  // p + 1.
    for (const std::string& bad : {zero, one, minus_one, one_again}) {
        CHECK_THROWS_AS(PublicKey::from_blob(ed25519_blob(bad)), ProtocolError);
        std::string negative = bad;
        negative.back() = static_cast<char>(negative.back() | '\x80');
        CHECK_THROWS_AS(PublicKey::from_blob(ed25519_blob(negative)), ProtocolError);
    }
}

TEST_CASE("ssh key: the first word must be the type of the blob") {
    const std::string text = PrivateKey::generate_ed25519().public_key().text();
    CHECK_NOTHROW(PublicKey::from_text(text));
    const std::string blob = text.substr(text.find(' '));
    CHECK_THROWS_AS(PublicKey::from_text("ssh-rsa" + blob), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_text("ssh-dss" + blob), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_text("ssh-ed25519"), ProtocolError);
    CHECK_THROWS_AS(PublicKey::from_text(text + "!"), ProtocolError);
}

TEST_CASE("ssh key: a changed message or signature is refused") {
    const PrivateKey key = PrivateKey::generate_ed25519();
    const PublicKey& known = key.public_key();
    const std::string signature = key.sign("message");
    CHECK(known.verify("message", signature));
    CHECK_FALSE(known.verify("massage", signature));
    CHECK_FALSE(known.verify("message", signature + "\0"s));
    CHECK_FALSE(known.verify("message", ""));
    CHECK_FALSE(PrivateKey::generate_ed25519().public_key().verify("message", signature));
    for (std::size_t at = 0; at < signature.size(); ++at) {
        std::string bent = signature;
        bent[at] = static_cast<char>(bent[at] ^ 1);
        CHECK_FALSE(known.verify("message", bent));
        CHECK_FALSE(known.verify("message", signature.substr(0, at)));
    }
}

TEST_CASE("ssh key: a FIDO signature needs a touch, or PIN if required") {
    // A token of ours: PROTOCOL.u2f says what it signs, so any ed25519 key can play its part.
    const PrivateKey key = PrivateKey::generate_ed25519();
    const std::string point = key.public_key().blob().substr(4 + 11 + 4);
    const PublicKey token = PublicKey::from_blob(
        WireWriter().string("sk-ssh-ed25519@openssh.com").string(point).string("ssh:").take());
    const auto sign = [&](std::uint8_t flags) {
        const std::string tail = WireWriter().u8(flags).u32(42).take();
        const std::string plain = key.sign(frsh::sha256("ssh:") + tail + frsh::sha256("message"));
        return WireWriter()
            .string("sk-ssh-ed25519@openssh.com")
            .string(plain.substr(plain.size() - 64))
            .raw(tail)
            .take();
    };
    using frsh::Presence;
    CHECK(token.is_fido());
    CHECK(token.verify("message", sign(1)));
    CHECK_FALSE(token.verify("massage", sign(1)));
    CHECK_FALSE(token.verify("message", sign(0)));
    CHECK_FALSE(token.verify("message", sign(4)));
    CHECK_FALSE(token.verify("message", sign(1), Presence::Verified));
    CHECK(token.verify("message", sign(5), Presence::Verified));
    CHECK_FALSE(token.verify("message", key.sign("message")));
}
