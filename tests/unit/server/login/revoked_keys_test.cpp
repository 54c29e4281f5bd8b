#include "server/login/revoked_keys.hpp"

#include "common/base/text.hpp"
#include "common/keys/private_key.hpp"
#include "common/keys/ssh_wire.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

using ListKind = KeyListVerdict::Kind;

std::string key_line(const std::string& type, const std::string& blob) {
    return type + " " + base64_encode(blob) + "\n";
}

}  // namespace

TEST_CASE("revoked keys: a line that is no key ends a list") {
    const PublicKey key = PrivateKey::generate_ed25519().public_key();
    const PublicKey other = PrivateKey::generate_ed25519().public_key();
    const auto verdict = [&](const std::string& text) { return find_in_key_list(text, key).kind; };
    const std::string good = other.text() + " a comment\n";
    CHECK(verdict("") == ListKind::NotListed);
    CHECK(verdict("# garbage\n\n \t\n" + good + "\t" + good) == ListKind::NotListed);
    CHECK(verdict(good + "  " + key.text() + "\r\n") == ListKind::Listed);
    CHECK(verdict(key.text()) == ListKind::Listed);
    for (const std::string& bad :
         {"restrict " + key.text(), std::string("garbage"), std::string("\r"),
          key.text().substr(0, 40), "ssh-rsa " + key.text().substr(12), std::string("ssh-ed25519"),
          std::string("ssh-ed25519 !"), "cert-authority " + other.text(),
          key.text().substr(0, key.text().size() - 8)}) {
        CHECK_MESSAGE(verdict(good + bad + "\n" + good) == ListKind::Broken, bad);
        CHECK_MESSAGE(verdict(key.text() + "\n" + bad) == ListKind::Listed, bad);
    }
    CHECK(find_in_key_list(good + "\nx\n", key).line == 3);
}

TEST_CASE("revoked keys: keys that only sshd knows are no fault") {
    const PublicKey key = PrivateKey::generate_ed25519().public_key();
    const std::string number(129, '\x01');
    const std::string rsa = WireWriter().string("ssh-rsa").string("\x03").string(number).take();
    std::string dsa = WireWriter().string("ssh-dss").string(number).string("\x05").take();
    dsa += WireWriter().string("\x06").string(number).take();
    for (const std::string& known :
         {key_line("ssh-rsa", rsa), key_line("rsa-sha2-512", rsa), key_line("ssh-dss", dsa)}) {
        CHECK(find_in_key_list(known + key.text(), key).kind == ListKind::Listed);
    }
    for (const std::string& broken :
         {key_line("ssh-rsa", rsa + "x"), key_line("ssh-dss", dsa.substr(0, dsa.size() - 1)),
          key_line("ssh-rsa", dsa), key_line("ssh-xmss", WireWriter().string("ssh-xmss").take())}) {
        CHECK(find_in_key_list(broken + key.text(), key).kind == ListKind::Broken);
    }
}
