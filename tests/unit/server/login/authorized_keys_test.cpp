#include "server/login/authorized_keys.hpp"

#include "common/keys/private_key.hpp"
#include "tests/support/ssh_tools.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::string_literals;
using frsh::AuthorizedKey;
using frsh::parse_authorized_keys;
using frsh::PrivateKey;
using WallTime = std::chrono::system_clock::time_point;

namespace {

const std::string& key_text() {
    static const std::string text = PrivateKey::generate_ed25519().public_key().text();
    return text;
}

std::optional<AuthorizedKey> parse_one(const std::string& options) {
    const auto read = parse_authorized_keys(options + " " + key_text() + " a comment\n");
    CHECK(read.keys.size() + read.skipped.size() == 1);
    if (read.keys.empty()) return std::nullopt;
    return read.keys[0];
}

std::string reason_for(const std::string& options) {
    const auto read = parse_authorized_keys(options + " " + key_text());
    return read.skipped.size() == 1 ? read.skipped[0] : "not skipped";
}

bool may_come_from(const std::string& from, const char* address) {
    const auto key = parse_one("from=\"" + from + "\"");
    REQUIRE(key);
    return !frsh::find_refusal(*key, address, WallTime{});
}

WallTime at(std::time_t seconds) {
    return std::chrono::system_clock::from_time_t(seconds);
}

}  // namespace

TEST_CASE("authorized keys: comments, blank lines and unrestricted keys") {
    const auto read = parse_authorized_keys("# me\n\n \t\n" + key_text() + "\r\n\t " + key_text() +
                                            "  it's mine\n");
    REQUIRE(read.keys.size() == 2);
    CHECK(read.skipped.empty());
    CHECK(read.keys[0].line == 4);
    CHECK(read.keys[0].comment.empty());
    CHECK(read.keys[1].comment == "it's mine");
    CHECK(read.keys[0].key.text() == key_text());
    CHECK_FALSE(read.keys[0].command);
    CHECK(read.keys[0].may_have_pty);
}

TEST_CASE("authorized keys: command= keeps escaped quotes and commas") {
    CHECK(parse_one("command=\"uptime\"")->command == "uptime");
    CHECK(parse_one("COMMAND=\"uptime\"")->command == "uptime");
    CHECK(parse_one(R"(command="echo \"a, b\" c\\d ssh-rsa")")->command ==
          R"(echo "a, b" c\\d ssh-rsa)");
    CHECK(parse_one("no-pty,command=\"\",no-X11-forwarding")->command == "");
    const auto key = parse_one("restrict,command=\"a\",environment=\"A=b=c\",environment=\"B=\"");
    CHECK(key->command == "a");
    CHECK_FALSE(key->may_have_pty);
    REQUIRE(key->environment.size() == 2);
    CHECK(key->environment[0] == std::pair("A"s, "b=c"s));
    CHECK(key->environment[1] == std::pair("B"s, ""s));
}

TEST_CASE("authorized keys: the key of an authority opens nothing itself") {
    const auto plain = parse_one("cert-authority");
    REQUIRE(plain);
    CHECK(plain->is_authority);
    CHECK_FALSE(plain->principals);
    const auto listed = parse_one("cert-authority,principals=\"a,b\",no-pty");
    REQUIRE(listed);
    CHECK(listed->is_authority);
    CHECK(listed->principals == "a,b");
    CHECK_FALSE(listed->may_have_pty);
}

TEST_CASE("authorized keys: a line with options is never an unrestricted key") {
    for (const char* bad : {
             "command=uptime",               // Not quoted.
             "command",                      // Without its value.
             "command=\"up",                 // The quote swallows the key.
             "command=\"a\\\"",              // So does this one.
             "command=\"a\"b",               // Something behind the quote.
             "command=\"a\",command=\"b\"",  // Which?
             "command=\"a\",",               // One more option, of no name.
             ",command=\"a\"",
             "command=\"a\" ,pty",
             "command =\"a\"",
             "commands=\"a\"",  // Not the one we know.
             "force-command=\"a\"",
             "no-ptyy",
             "restrict=\"yes\"",
             "pty=\"no\"",
             "from",
             "from=\"\"",
             "expiry-time",
             "principals=\"a\"",
             "principals=\"a\",cert-authority,principals=\"b\"",
             "cert-authority=\"a\"",
             "permitopen=\"a:0\"",
             "permitopen=\"::1:80\"",
             "permitopen=\"[::1]80\"",
             "permitlisten=\"x:y:z\"",
             "permitlisten=\"\"",
             "tunnel=\"x\"",
             "tunnel=\"-1\"",
             "environment=\"A\"",
             "environment=\"=b\"",
             "environment=\"A B=c\"",
             "environment=\"A=b\",environment=\"A=c\"",
             "\"command\"",
             "=",
             "x",
         }) {
        CAPTURE(bad);
        CHECK_FALSE(parse_one(bad));
    }
    CHECK_FALSE(parse_one("command=\"a\0b\""s));
    CHECK(reason_for("tunnel-to=\"x\"") == "line 1: unknown option \"tunnel-to\"");
    CHECK(reason_for("no-\x1b[2J") == "line 1: unknown option \"no-\\x1b[2j\"");
}

TEST_CASE("authorized keys: options about features frsh lacks are ignored") {
    const auto key = parse_one(
        "no-X11-forwarding,no-port-forwarding,no-user-rc,"
        "permitopen=\"host:1\",tunnel=\"0\",no-touch-required");
    REQUIRE(key);
    CHECK(key->may_have_pty);
    CHECK(key->presence == frsh::Presence::Touched);
    CHECK(parse_one("verify-required")->presence == frsh::Presence::Verified);
}

TEST_CASE("authorized keys: the agent is lent to any key that nothing forbids it") {
    CHECK(parse_one("pty")->may_have_agent());
    CHECK(parse_one("no-port-forwarding")->may_have_agent());
    CHECK(parse_one("restrict,agent-forwarding")->may_have_agent());
    CHECK(parse_one("command=\"x\",agent-forwarding")->may_have_agent());
    CHECK_FALSE(parse_one("restrict")->may_have_agent());
    CHECK_FALSE(parse_one("no-agent-forwarding")->may_have_agent());
    CHECK_FALSE(parse_one("command=\"x\"")->may_have_agent());
    CHECK_FALSE(parse_one("command=\"x\",port-forwarding")->may_have_agent());
}

TEST_CASE("authorized keys: a bound key forwards only as a word of its own says") {
    CHECK(parse_one("pty")->may_connect());
    CHECK(parse_one("pty")->may_listen());
    CHECK_FALSE(parse_one("restrict")->may_connect());
    CHECK_FALSE(parse_one("restrict,permitlisten=\"1\"")->may_listen());
    CHECK_FALSE(parse_one("command=\"x\"")->may_listen());
    const auto opens = parse_one("command=\"x\",permitopen=\"db:1\"");
    CHECK(opens->may_connect());
    CHECK_FALSE(opens->may_listen());
    const auto listens = parse_one("command=\"x\",permitlisten=\"80\",permitlisten=\"[::1]:9\"");
    CHECK_FALSE(listens->may_connect());
    CHECK(listens->may_listen());
    CHECK(listens->permit_listen == std::vector<std::string>{"*:80", "[::1]:9"});
    CHECK(parse_one("command=\"x\",port-forwarding")->may_listen());
}

TEST_CASE("authorized keys: restrict forbids a pty, pty permits it again") {
    CHECK_FALSE(parse_one("restrict")->may_have_pty);
    CHECK_FALSE(parse_one("no-pty")->may_have_pty);
    CHECK(parse_one("restrict,pty")->may_have_pty);
    CHECK_FALSE(parse_one("pty,restrict")->may_have_pty);
}

TEST_CASE("authorized keys: from= compares addresses, blocks and patterns") {
    CHECK(may_come_from("192.0.2.7", "192.0.2.7"));
    CHECK_FALSE(may_come_from("192.0.2.7", "192.0.2.70"));
    CHECK(may_come_from("192.0.2.0/24", "192.0.2.70"));
    CHECK(may_come_from("192.0.2.0/24", "::ffff:192.0.2.70"));
    CHECK_FALSE(may_come_from("192.0.2.0/25", "192.0.2.200"));
    CHECK(may_come_from("192.0.2.*", "192.0.2.200"));
    CHECK(may_come_from("2001:DB8::/32", "2001:db8:1::1"));
    CHECK(may_come_from("2001:db8:*", "2001:db8:1::1"));
    CHECK_FALSE(may_come_from("2001:db8::/32", "2001:db9::1"));
    CHECK(may_come_from("0.0.0.0/0", "192.0.2.1"));
    CHECK_FALSE(may_come_from("0.0.0.0/0", "2001:db8::1"));
    CHECK_FALSE(may_come_from("192.0.2.0/24,!192.0.2.7", "192.0.2.7"));
    CHECK(may_come_from("192.0.2.0/24,!192.0.2.7", "192.0.2.8"));
    CHECK_FALSE(may_come_from("!192.0.2.7", "192.0.2.8"));
    CHECK_FALSE(may_come_from("*.example.com", "192.0.2.8"));  // No name is looked up.
    CHECK_FALSE(may_come_from("192.0.2.7", ""));
    CHECK_FALSE(may_come_from("*", "not an address"));
}

TEST_CASE("authorized keys: a malformed from= makes the line void") {
    for (const char* bad : {"192.0.2.7/24", "192.0.2.0/33", "192.0.2.0/", "2001:db8::/129",
                            "192.0.2.0/-1", "host/24", "a,,b", "!", "*,!*.evil.example"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_one("from=\""s + bad + "\""));
    }
}

TEST_CASE("authorized keys: a key expires at the exact second") {
    const auto key = parse_one("expiry-time=\"20300102030405Z\"");
    REQUIRE(key);
    REQUIRE(key->expires);
    CHECK(*key->expires == at(1893553445));
    CHECK_FALSE(frsh::find_refusal(*key, "", at(1893553444)));
    CHECK(frsh::find_refusal(*key, "", at(1893553445)));
    CHECK(parse_one("expiry-time=\"20300102Z\"")->expires == at(1893542400));
    CHECK(parse_one("expiry-time=\"203001020304Z\"")->expires == at(1893553440));
    CHECK(parse_one("expiry-time=\"20300102\"")->expires);
    CHECK(parse_one("expiry-time=\"20310101Z\",expiry-time=\"20300102Z\"")->expires ==
          at(1893542400));
    CHECK(parse_one("expiry-time=\"99991231235959Z\"")->expires == WallTime::max());
    CHECK(parse_one("expiry-time=\"19000101Z\"")->expires < at(0));
    for (const char* bad : {"", "2030", "20301301", "20300231Z", "20300431", "2030010Z", "tomorrow",
                            "20300102 03", "-2030102", "203001022404"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_one("expiry-time=\""s + bad + "\""));
    }
}

TEST_CASE("authorized keys: a damaged line does not affect other lines") {
    const std::string text = "ssh-ed25519 AAAA\nssh-dss AAAA me\nssh-ed25519\n" +
                             std::string(20000, 'x') + "\n" + key_text() + "\n" +
                             "ssh-rsa-cert-v01@openssh.com AAAA\n" + key_text() + "x\n";
    const auto read = parse_authorized_keys(text);
    CHECK(read.keys.size() == 1);
    CHECK(read.skipped.size() == 6);
    CHECK(read.skipped[3] == "line 4: too long");
}
