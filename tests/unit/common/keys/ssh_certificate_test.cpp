#include "common/keys/ssh_certificate.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/private_key.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

using Options = std::vector<std::pair<std::string, std::string>>;

// What a certificate is made of. Tests change one field.
struct Draft {
    std::string type = "ssh-ed25519-cert-v01@openssh.com";
    std::uint32_t kind = 1;
    std::vector<std::string> principals = {"alice"};
    std::uint64_t after = 0;
    std::uint64_t before = ~std::uint64_t{0};
    Options critical = {};
    Options extensions = {};
    std::string tail = {};
};

std::string text_option(const std::string& value) {
    return WireWriter().string(value).take();
}

void write_u64(WireWriter& writer, std::uint64_t value) {
    writer.u32(static_cast<std::uint32_t>(value >> 32)).u32(static_cast<std::uint32_t>(value));
}

std::string packed(const Options& options) {
    WireWriter writer;
    for (const auto& [name, data] : options)
        writer.string(name).string(data);
    return writer.take();
}

std::string make(const Draft& draft, const PublicKey& key, const PrivateKey& authority) {
    const std::string name(name_of(key.type()));
    WireWriter writer;
    writer.string(draft.type).string("nonce").raw(key.blob().substr(4 + name.size()));
    write_u64(writer, 7);
    writer.u32(draft.kind).string("id");
    WireWriter names;
    for (const std::string& principal : draft.principals)
        names.string(principal);
    writer.string(names.bytes());
    write_u64(writer, draft.after);
    write_u64(writer, draft.before);
    writer.string(packed(draft.critical)).string(packed(draft.extensions)).string("");
    writer.string(authority.public_key().blob());
    writer.string(authority.sign(writer.bytes()));
    return writer.take() + draft.tail;
}

struct Made {
    PrivateKey key = PrivateKey::generate_ed25519();
    PrivateKey authority = PrivateKey::generate_ed25519();

    std::string blob(const Draft& draft) const { return make(draft, key.public_key(), authority); }
    Certificate operator()(const Draft& draft) const { return Certificate::from_blob(blob(draft)); }
};

std::string fault(const Certificate& certificate, CertificateTime now = 1000) {
    return find_fault(certificate, Certificate::Kind::User, now).value_or("");
}

}  // namespace

TEST_CASE("certificate: its fields are read, and its signature is verified") {
    const Made made;
    Draft draft;
    draft.extensions = {{"permit-pty", ""}, {"later@example.com", "x"}};
    const Certificate certificate = made(draft);
    CHECK(certificate.key == made.key.public_key());
    CHECK(certificate.authority == made.authority.public_key());
    CHECK(certificate.serial == 7);
    CHECK(certificate.permits_pty);
    CHECK_FALSE(certificate.permits_forwarding);
    CHECK(fault(certificate) == "");
    std::string changed = made.blob(draft);
    changed[changed.find("alice")] = 'b';
    CHECK(fault(Certificate::from_blob(changed)) == "its signature is not valid");
    CHECK(Credential(certificate).blob() == made.blob(draft));
    CHECK(Certificate::from_text(draft.type + " " + base64_encode(certificate.blob)).blob ==
          certificate.blob);
}

TEST_CASE("certificate: the time of validity includes its beginning and not its end") {
    const Made made;
    Draft draft;
    draft.after = 1000;
    draft.before = 2000;
    const Certificate certificate = made(draft);
    CHECK(fault(certificate, 999) == "it is not valid yet");
    CHECK(fault(certificate, 1000) == "");
    CHECK(fault(certificate, 1999) == "");
    CHECK(fault(certificate, 2000) == "it has expired");
    CHECK(fault(made(Draft{}), ~std::uint64_t{0} - 1) == "");
}

TEST_CASE("certificate: options that cannot be enforced make it invalid") {
    const Made made;
    Draft draft;
    draft.critical = {{"later@example.com", ""}};
    CHECK(fault(made(draft)) == "it has the unknown critical option \"later@example.com\"");
    draft.critical = {{"force-command", text_option("x")}, {"force-command", text_option("y")}};
    CHECK_THROWS_AS(made(draft), ProtocolError);
    for (const char* const data : {"", "x"}) {
        draft.critical = {{"force-command", data}};
        CHECK_THROWS_AS(made(draft), ProtocolError);
    }
    draft.critical = {{"force-command", text_option(std::string("a\0b", 3))}};
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft.critical = {{"verify-required", "x"}};
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft.critical = {};
    draft.kind = 2;
    CHECK(fault(made(draft)) == "it is not a user's");
    draft.critical = {{"force-command", text_option("x")}};
    CHECK(find_fault(made(draft), Certificate::Kind::Host, 1000) == "it has options of a user's");
    draft.kind = 3;
    CHECK_THROWS_AS(made(draft), ProtocolError);
}

TEST_CASE("certificate: a damaged one is refused") {
    const Made made;
    const std::string blob = made.blob({});
    for (std::size_t size = 0; size < blob.size(); ++size)
        CHECK_THROWS_AS(Certificate::from_blob(std::string_view(blob).substr(0, size)),
                        ProtocolError);
    Draft draft;
    draft.tail = "x";
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft = {};
    draft.type = "ssh-rsa-cert-v01@openssh.com";
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft.type = "ssh-dss-cert-v01@openssh.com";
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft = {};
    draft.principals.assign(257, "x");
    CHECK_THROWS_AS(made(draft), ProtocolError);
    draft.principals = {std::string("alice\0x", 7)};
    CHECK_THROWS_AS(made(draft), ProtocolError);
}

TEST_CASE("certificate: principals are compared as text") {
    const Made made;
    const auto names = [&](std::vector<std::string> list, NoPrincipals rule) {
        Draft draft;
        draft.principals = std::move(list);
        return names_principal(made(draft), "alice", rule);
    };
    CHECK(names({"bob", "alice"}, NoPrincipals::MatchNone));
    CHECK_FALSE(names({"Alice"}, NoPrincipals::MatchAll));
    CHECK_FALSE(names({"*"}, NoPrincipals::MatchAll));
    CHECK_FALSE(names({""}, NoPrincipals::MatchAll));
    CHECK(names({}, NoPrincipals::MatchAll));
    CHECK_FALSE(names({}, NoPrincipals::MatchNone));
}

TEST_CASE("certificate: source-address has addresses and blocks only") {
    const Made made;
    const auto permits = [&](const std::string& list, const std::string& address) {
        Draft draft;
        draft.critical = {{"source-address", text_option(list)}};
        return permits_address(made(draft), address);
    };
    CHECK(permits("192.0.2.0/24,2001:db8::/32", "192.0.2.7"));
    CHECK(permits("192.0.2.0/24,2001:db8::/32", "2001:db8::1"));
    CHECK_FALSE(permits("192.0.2.0/24", "192.0.3.7"));
    CHECK_FALSE(permits("192.0.2.0/24", ""));
    for (const char* const bad : {"", "*", "!192.0.3.1", "192.0.2.*", ",192.0.2.7", "192.0.2.7,",
                                  "192.0.2.7/24", "host.example"}) {
        CHECK_MESSAGE(!permits(bad, "192.0.2.7"), bad);
    }
    CHECK(permits_address(made(Draft{}), ""));
}
