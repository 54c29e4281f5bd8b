#include "server/login/authorized_principals.hpp"

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_wire.hpp"
#include "server/login/sshd_key_rules.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

// Its signature is not valid, which the caller of these functions would find.
Certificate certificate_for(const std::vector<std::string>& principals) {
    const std::string point(kEd25519Size, '\x09');
    const std::string authority = WireWriter().string("ssh-ed25519").string(point).take();
    WireWriter names;
    for (const std::string& name : principals)
        names.string(name);
    WireWriter writer;
    writer.string("ssh-ed25519-cert-v01@openssh.com").string("nonce").string(point);
    writer.u32(0).u32(0).u32(1).string("id").string(names.bytes()).u32(0).u32(0).u32(~0U).u32(~0U);
    writer.string("").string("").string("").string(authority);
    writer.string(WireWriter().string("ssh-ed25519").string("").take());
    return Certificate::from_blob(writer.take());
}

}  // namespace

TEST_CASE("authorized principals: the first line with a principal counts") {
    const Certificate both = certificate_for({"deploy", "admin"});
    const auto line_of = [&](const char* text) {
        const auto entry = find_principal(text, both);
        return entry ? entry->line : 0;
    };
    CHECK(line_of("deploy") == 1);
    CHECK(line_of("x\n\n# deploy\n \tadmin \t\ndeploy\n") == 4);
    CHECK(line_of("no-such-option deploy\ndeploy # why\n") == 2);
    CHECK(line_of("command=\"a#b\" deploy\n") == 0);
    for (const char* const none :
         {"", "deploy,admin", "Deploy", "*", "\"deploy\"", "deploy x", "deploy\r",
          "cert-authority deploy\ndeploy", "principals=\"deploy\" deploy\ndeploy",
          "command=\"x\"deploy", "restrict ,deploy"}) {
        CHECK_MESSAGE(line_of(none) == 0, none);
    }
    CHECK_FALSE(find_principal("deploy\n", certificate_for({})));
}

TEST_CASE("authorized principals: options restrict") {
    const Certificate deploy = certificate_for({"deploy"});
    const auto entry = find_principal(
        "command=\"echo \\\"a b\\\"\",no-pty\tx deploy\ncommand=\"b c\",no-pty "
        "deploy\n",
        deploy);
    REQUIRE(entry);
    CHECK(entry->line == 2);
    CHECK(entry->command == "b c");
    CHECK_FALSE(entry->may_have_pty);
    CHECK(entry->principals == "deploy");
    CHECK(entry->key == deploy.key);
}

TEST_CASE("sshd key rules: algorithms are those of the key and of the authority") {
    const Credential key = PrivateKey::generate_ed25519().public_key();
    const Credential certified(certificate_for({"deploy"}));
    const auto accepts = [](const char* settings, const Credential& credential) {
        return !find_key_refusal(parse_sshd_settings(settings), credential);
    };
    CHECK(accepts("", key));
    CHECK(accepts("pubkeyacceptedalgorithms ssh-ed25519,ssh-rsa\n", key));
    CHECK_FALSE(accepts("pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com\n", key));
    CHECK_FALSE(accepts("pubkeyacceptedalgorithms !ssh-ed25519,*\n", key));
    CHECK(accepts("pubkeyacceptedalgorithms ssh-ed25519*\n", certified));
    CHECK_FALSE(accepts("pubkeyacceptedalgorithms ssh-ed25519\n", certified));
    CHECK(accepts("casignaturealgorithms rsa-sha2-512\nrequiredrsasize 9999\n", key));
    CHECK_FALSE(accepts("casignaturealgorithms rsa-sha2-512\n", certified));
    CHECK(accepts("casignaturealgorithms ssh-ed25519,rsa-sha2-512\n", certified));
}
