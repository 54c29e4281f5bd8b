#include "common/keys/sshsig.hpp"

#include "common/base/error.hpp"
#include "common/keys/key_file.hpp"
#include "common/keys/ssh_wire.hpp"
#include "tests/support/ssh_tools.hpp"

#include <filesystem>
#include <string>
#include <string_view>

using namespace std::string_literals;
using frsh::PrivateKey;
using frsh::ProtocolError;
using frsh::PublicKey;
using frsh::WireWriter;

namespace {

struct KeyKind {
    const char* type;
    const char* bits;
};
constexpr KeyKind kTypes[] = {
    {"ed25519", ""}, {"ecdsa", "256"}, {"ecdsa", "384"}, {"ecdsa", "521"}, {"rsa", "2048"}};

}  // namespace

TEST_CASE("sshsig: ssh-keygen accepts frsh's signatures of any key type") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    for (const KeyKind& made : kTypes) {
        const std::string name = made.type + std::string(made.bits);
        const auto file =
            frsh::load_key_file(frsh::test::make_key(folder, name, made.type, made.bits));
        REQUIRE(file);
        REQUIRE(file->key);
        const PublicKey& known = file->key->public_key();
        const std::string signature =
            frsh::sign_sshsig(*file->key, "auth-v1@frsh", "a message\0!"s);
        folder.write("signature", frsh::armor({known, "auth-v1@frsh", signature}));
        folder.write("allowed", "me namespaces=\"auth-v1@frsh\" " + known.text() + "\n");
        const auto verify = [&](std::string_view message, const char* name_space) {
            return frsh::test::run_tool(folder,
                                        {"ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "me",
                                         "-n", name_space, "-s", "signature"},
                                        message);
        };
        const auto verified = verify("a message\0!"s, "auth-v1@frsh");
        CHECK_MESSAGE(verified.exit_code == 0, verified.output);
        CHECK(verify("another", "auth-v1@frsh").exit_code != 0);
        CHECK(verify("a message\0!"s, "git").exit_code != 0);
    }
}

TEST_CASE("sshsig: ssh-keygen's signatures count in one namespace only") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    folder.write("message", "a message");
    for (const KeyKind& made : kTypes) {
        const std::string name = made.type + std::string(made.bits);
        frsh::test::make_key(folder, name, made.type, made.bits);
        const auto known = frsh::parse_key_line(folder.read(name + ".pub")).key;
        for (const char* name_space : {"auth-v1@frsh", "git"}) {
            const auto said = frsh::test::run_tool(folder, {"ssh-keygen", "-Y", "sign", "-q", "-f",
                                                            name, "-n", name_space, "message"});
            REQUIRE_MESSAGE(said.exit_code == 0, said.output);
            const auto read = frsh::dearmor(folder.read("message.sig"));
            std::filesystem::remove(folder / "message.sig");
            CHECK(read.key == known);
            CHECK(read.name_space == name_space);
            CHECK(frsh::verify_sshsig(known, name_space, "a message", read.signature));
            const bool is_ours = name_space == "auth-v1@frsh"s;
            CHECK(frsh::verify_sshsig(known, "auth-v1@frsh", "a message", read.signature) ==
                  is_ours);
            CHECK_FALSE(frsh::verify_sshsig(known, "host-v1@frsh", "a message", read.signature));
        }
    }
}

TEST_CASE("sshsig: frsh and ssh-keygen agree on the bytes a token signs") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    // A token made of software: PROTOCOL.u2f says what it signs, any ed25519 key can do it.
    const PrivateKey inside = PrivateKey::generate_ed25519();
    const std::string point = inside.public_key().blob().substr(4 + 11 + 4);
    const auto token = PublicKey::from_blob(
        WireWriter().string("sk-ssh-ed25519@openssh.com").string(point).string("ssh:").take());
    const std::string flags_and_counter = WireWriter().u8(1).u32(42).take();
    const std::string plain =
        inside.sign(frsh::sha256("ssh:") + flags_and_counter +
                    frsh::sha256(frsh::sshsig_signed_data("auth-v1@frsh", "message")));
    const std::string signature = WireWriter()
                                      .string("sk-ssh-ed25519@openssh.com")
                                      .string(plain.substr(plain.size() - 64))
                                      .raw(flags_and_counter)
                                      .take();
    CHECK(frsh::verify_sshsig(token, "auth-v1@frsh", "message", signature));
    folder.write("signature", frsh::armor({token, "auth-v1@frsh", signature}));
    folder.write("allowed", "me " + token.text() + "\n");
    const auto verified = frsh::test::run_tool(folder,
                                               {"ssh-keygen", "-Y", "verify", "-f", "allowed", "-I",
                                                "me", "-n", "auth-v1@frsh", "-s", "signature"},
                                               "message");
    CHECK_MESSAGE(verified.exit_code == 0, verified.output);
}

TEST_CASE("sshsig: a signature of the bare message is refused") {
    const PrivateKey key = PrivateKey::generate_ed25519();
    CHECK_FALSE(frsh::verify_sshsig(key.public_key(), "auth-v1@frsh", "m", key.sign("m")));
}

TEST_CASE("sshsig: RSA signatures are SHA-2 and as long as their key") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    const auto file = frsh::load_key_file(frsh::test::make_key(folder, "rsa", "rsa", "2048"));
    const PublicKey& known = file->key->public_key();
    const std::string signature = frsh::sign_sshsig(*file->key, "git", "m");
    const std::string bytes = signature.substr(4 + 12 + 4);
    REQUIRE(bytes.size() == 256);
    CHECK(frsh::verify_sshsig(known, "git", "m", signature));
    for (const char* algorithm : {"ssh-rsa", "rsa-sha2-256", "ssh-ed25519", ""}) {
        CHECK_FALSE(frsh::verify_sshsig(known, "git", "m",
                                        WireWriter().string(algorithm).string(bytes).bytes()));
    }
    for (const std::string& bad : {"\0"s + bytes, bytes.substr(1), bytes.substr(0, 255), ""s}) {
        CHECK_FALSE(frsh::verify_sshsig(known, "git", "m",
                                        WireWriter().string("rsa-sha2-512").string(bad).bytes()));
    }
}

TEST_CASE("sshsig: a valid SHA-1 signature is refused") {
    if (frsh::test::is_missing("openssl") || frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    const auto made = frsh::test::run_tool(
        folder, {"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", "k"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    const auto known = frsh::parse_key_line(folder.read("k.pub")).key;
    folder.write("data", frsh::sshsig_signed_data("git", "m"));
    const auto sign = [&](const char* hash, const char* algorithm) {
        const auto said = frsh::test::run_tool(
            folder, {"openssl", "dgst", hash, "-sign", "k", "-out", "bytes", "data"});
        REQUIRE_MESSAGE(said.exit_code == 0, said.output);
        return WireWriter().string(algorithm).string(folder.read("bytes")).take();
    };
    CHECK(frsh::verify_sshsig(known, "git", "m", sign("-sha256", "rsa-sha2-256")));
    CHECK(frsh::verify_sshsig(known, "git", "m", sign("-sha512", "rsa-sha2-512")));
    CHECK_FALSE(frsh::verify_sshsig(known, "git", "m", sign("-sha1", "ssh-rsa")));
    CHECK_FALSE(frsh::verify_sshsig(known, "git", "m", sign("-sha1", "rsa-sha2-256")));
}

TEST_CASE("sshsig: the armored form has nothing around it") {
    const PrivateKey key = PrivateKey::generate_ed25519();
    const std::string text =
        frsh::armor({key.public_key(), "git", frsh::sign_sshsig(key, "git", "m")});
    CHECK(frsh::dearmor(text).key == key.public_key());
    CHECK_THROWS_AS(static_cast<void>(frsh::dearmor("x" + text)), ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::dearmor(text + "x")), ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::dearmor(text.substr(0, text.size() / 2))),
                    ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::dearmor("")), ProtocolError);
    CHECK_THROWS_AS(static_cast<void>(frsh::dearmor("-----BEGIN SSH SIGNATURE-----")),
                    ProtocolError);
}
