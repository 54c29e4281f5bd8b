#include "common/keys/key_file.hpp"

#include "common/base/error.hpp"
#include "common/keys/sshsig.hpp"
#include "tests/support/ssh_tools.hpp"

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

using frsh::PrivateKey;
using frsh::UserError;

namespace {

// SSH_ASKPASS for the length of a test: a script that knows the passphrase.
class Askpass {
  public:
    Askpass(const frsh::test::TempFolder& folder, const std::string& answer) {
        const std::string path = folder.write("askpass", "#!/bin/sh\necho " + answer + "\n");
        ::chmod(path.c_str(), 0700);
        ::setenv("SSH_ASKPASS", path.c_str(), 1);
        ::setenv("SSH_ASKPASS_REQUIRE", "force", 1);
    }
    ~Askpass() {
        ::unsetenv("SSH_ASKPASS");
        ::unsetenv("SSH_ASKPASS_REQUIRE");
    }
};

}  // namespace

TEST_CASE("key file: frsh and ssh-keygen read a key that frsh made") {
    const frsh::test::TempFolder folder;
    const PrivateKey key = PrivateKey::generate_ed25519();
    CHECK(frsh::write_key_file(folder / "id", key, "me@here"));
    struct stat status {};
    CHECK(::stat((folder / "id").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);

    const auto loaded = frsh::load_key_file(folder / "id");
    REQUIRE(loaded);
    REQUIRE(loaded->key);
    CHECK(loaded->key->public_key() == key.public_key());
    CHECK(loaded->comment == "me@here");
    CHECK(key.public_key().verify("m", loaded->key->sign("m")));
    CHECK(folder.read("id.pub") == key.public_key().text() + " me@here\n");

    if (frsh::test::is_missing("ssh-keygen")) return;
    const auto derived = frsh::test::run_tool(folder, {"ssh-keygen", "-y", "-f", "id"});
    CHECK(derived.output == key.public_key().text() + " me@here\n");
    const auto listed = frsh::test::run_tool(folder, {"ssh-keygen", "-l", "-f", "id"});
    CHECK(listed.output.find(key.public_key().fingerprint()) != std::string::npos);
}

TEST_CASE("key file: an existing key is never overwritten") {
    const frsh::test::TempFolder folder;
    CHECK(frsh::write_key_file(folder / "id", PrivateKey::generate_ed25519(), ""));
    const std::string before = folder.read("id");
    CHECK_FALSE(frsh::write_key_file(folder / "id", PrivateKey::generate_ed25519(), ""));
    CHECK(folder.read("id") == before);
    const auto entries = std::filesystem::directory_iterator(folder.path());
    CHECK(std::distance(begin(entries), end(entries)) == 2);
}

TEST_CASE("key file: a missing file is not an error") {
    const frsh::test::TempFolder folder;
    CHECK_FALSE(frsh::load_key_file(folder / "none"));
    CHECK_FALSE(frsh::load_key_file(folder / "none/either"));
}

TEST_CASE("key file: a private key that others can read is refused") {
    const frsh::test::TempFolder folder;
    const std::string path = folder / "id";
    CHECK(frsh::write_key_file(path, PrivateKey::generate_ed25519(), ""));
    for (const mode_t mode : {0640U, 0604U, 0610U, 0660U, 0644U}) {
        ::chmod(path.c_str(), mode);
        CHECK_THROWS_WITH_AS(
            static_cast<void>(frsh::load_key_file(path)),
            (path + ": refused, others can read this private key: chmod 600 " + path).c_str(),
            UserError);
    }
    ::chmod(path.c_str(), 0400);
    CHECK(frsh::load_key_file(path));
}

TEST_CASE("key file: a private key of another user is refused, as root") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can give a file away");
        return;
    }
    const frsh::test::TempFolder folder;
    CHECK(frsh::write_key_file(folder / "id", PrivateKey::generate_ed25519(), ""));
    CHECK(::chown((folder / "id").c_str(), 12345, 12345) == 0);
    CHECK_THROWS_AS(static_cast<void>(frsh::load_key_file(folder / "id")), UserError);
}

TEST_CASE("key file: what follows the END line is ignored, as by ssh-keygen") {
    const frsh::test::TempFolder folder;
    CHECK(frsh::write_key_file(folder / "id", PrivateKey::generate_ed25519(), ""));
    const std::string text = folder.read("id");
    std::string blanks;
    for (const char c : text)
        blanks += c == '\n' ? std::string(" \r\n") : std::string(1, c);
    for (const std::string& more : {text + "\n\n", text + "  \t", text + "# a remark\n", blanks,
                                    text.substr(0, text.size() - 1) + "  # remark"}) {
        CHECK(frsh::parse_key_file(more).key);
    }
    for (const std::string& less : {text.substr(0, text.size() - 3), text.substr(0, 100)})
        CHECK_THROWS_AS(static_cast<void>(frsh::parse_key_file(less)), frsh::ProtocolError);
}

TEST_CASE("key file: a public key has no private half, with any mode") {
    const frsh::test::TempFolder folder;
    CHECK(frsh::write_key_file(folder / "id", PrivateKey::generate_ed25519(), "remark"));
    ::chmod((folder / "id.pub").c_str(), 0666);
    const auto direct = frsh::load_key_file(folder / "id.pub");
    REQUIRE(direct);
    CHECK(direct->is_public_only);
    CHECK_FALSE(direct->key);
    std::filesystem::remove(folder / "id");
    const auto beside = frsh::load_key_file(folder / "id");
    REQUIRE(beside);
    CHECK(beside->is_public_only);
    CHECK(beside->public_key == direct->public_key);
}

TEST_CASE("key file: a key of root has any mode, as root") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can become another user");
        return;
    }
    const frsh::test::TempFolder folder;
    const std::string path = folder / "id";
    CHECK(frsh::write_key_file(path, PrivateKey::generate_ed25519(), ""));
    ::chmod(folder.path().c_str(), 0755);
    for (const mode_t mode : {0440U, 0640U, 0444U}) {
        CHECK(::chown(path.c_str(), 0, 12345) == 0);
        ::chmod(path.c_str(), mode);
        CHECK(::setegid(12345) == 0);
        CHECK(::seteuid(12345) == 0);
        CHECK_NOTHROW(static_cast<void>(frsh::load_key_file(path)));
        CHECK(::seteuid(0) == 0);
        CHECK(::setegid(0) == 0);
    }
}

TEST_CASE("key file: a FIFO, a folder and a file of something else are refused at once") {
    const frsh::test::TempFolder folder;
    CHECK(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    CHECK_THROWS_AS(static_cast<void>(frsh::load_key_file(folder / "fifo")), UserError);
    CHECK_THROWS_AS(static_cast<void>(frsh::load_key_file(folder.path())), UserError);
    const std::string text = folder.write("text", "not a key\n");
    ::chmod(text.c_str(), 0600);
    CHECK_THROWS_AS(static_cast<void>(frsh::load_key_file(text)), UserError);
}

TEST_CASE("key file: a private half of another key is refused") {
    const frsh::test::TempFolder folder;
    CHECK(frsh::write_key_file(folder / "a", PrivateKey::generate_ed25519(), ""));
    CHECK(frsh::write_key_file(folder / "b", PrivateKey::generate_ed25519(), ""));
    const std::string a = folder.read("a");
    const std::string b = folder.read("b");
    // The public key ends inside the third line; what follows is private.
    const std::size_t cut = a.find('\n', a.find('\n', a.find('\n') + 1) + 1) + 1;
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_key_file(a.substr(0, cut) + b.substr(cut))),
                    frsh::ProtocolError);
}

TEST_CASE("key file: encrypted and PEM keys sign through ssh-keygen") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    frsh::test::make_key(folder, "encrypted", "ed25519", "", "secret");
    const auto made = frsh::test::run_tool(folder, {"ssh-keygen", "-q", "-t", "rsa", "-b", "2048",
                                                    "-m", "PEM", "-N", "secret", "-f", "pem"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    for (const char* name : {"encrypted", "pem"}) {
        const auto file = frsh::load_key_file(folder / name);
        REQUIRE(file);
        CHECK_FALSE(file->key);
        REQUIRE(file->public_key);
        const Askpass knows(folder, "secret");
        const auto signature =
            frsh::sign_with_ssh_keygen(file->path, "auth-v1@frsh", "message", file->public_key);
        REQUIRE(signature);
        CHECK(frsh::verify_sshsig(*file->public_key, "auth-v1@frsh", "message", *signature));
        CHECK_THROWS_AS(static_cast<void>(frsh::sign_with_ssh_keygen(
                            file->path, "git", "m", PrivateKey::generate_ed25519().public_key())),
                        UserError);
    }
}

TEST_CASE("key file: a wrong passphrase gives no signature") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    const frsh::test::TempFolder folder;
    const std::string path = frsh::test::make_key(folder, "encrypted", "ed25519", "", "secret");
    const Askpass guesses(folder, "wrong");
    CHECK_FALSE(frsh::sign_with_ssh_keygen(path, "auth-v1@frsh", "message", std::nullopt));
}
