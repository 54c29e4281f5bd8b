#include "server/login/sshd_policy.hpp"

#include "common/keys/private_key.hpp"
#include "server/login/authorized_keys.hpp"
#include "server/login/login_rules.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

constexpr auto kObey = SshdPolicyMode::Obey;

std::string refusal(const std::string& settings, const SshdSubject& subject,
                    SshdPolicyMode mode = kObey) {
    return find_sshd_refusal(parse_sshd_settings(settings), subject, mode).value_or("");
}

const SshdSubject kAlice{"alice", false, {"alice", "staff"}, "192.0.2.7", false};
const SshdSubject kRoot{"root", true, {"root"}, "192.0.2.7", false};

}  // namespace

TEST_CASE("sshd policy: lists of users match names and addresses") {
    CHECK(refusal("", kAlice) == "");
    CHECK(refusal("denyusers bob\n", kAlice) == "");
    CHECK(refusal("denyusers bob\ndenyusers al?ce\n", kAlice) != "");
    CHECK(refusal("denyusers bob alice\n", kAlice) != "");
    CHECK(refusal("denyusers alice@192.0.2.0/24\n", kAlice) != "");
    CHECK(refusal("denyusers alice@192.0.3.0/24\n", kAlice) == "");
    CHECK(refusal("allowusers bob\n", kAlice) != "");
    CHECK(refusal("allowusers alice@192.0.2.*\n", kAlice) == "");
    CHECK(refusal("allowusers alice@192.0.3.1\n", kAlice) != "");
}

TEST_CASE("sshd policy: the name of a host is the peer's, or its address") {
    SshdSubject named = kAlice;
    named.host = "box.example";
    CHECK(refusal("denyusers alice@*.example\n", kAlice) == "");
    CHECK(refusal("denyusers alice@*.example\n", named) != "");
    CHECK(refusal("denyusers alice@BOX.*\n", named) != "");
    CHECK(refusal("denyusers alice@192.0.2.7\n", named) != "");
    CHECK(refusal("allowusers alice@box.example\n", kAlice) != "");
    CHECK(refusal("allowusers alice@box.example\n", named) == "");
    CHECK(refusal("allowusers alice@!box.example,*\n", named) != "");
    CHECK(refusal("allowusers alice@!192.0.2.0/24,*\n", named) != "");
    const SshdSubject nowhere{"alice", false, {}, "", false, ""};
    CHECK(refusal("allowusers alice@192.0.2.7\n", nowhere) != "");
    CHECK(refusal("denyusers alice@*\n", nowhere) != "");
}

TEST_CASE("sshd policy: lists of groups match every group") {
    CHECK(refusal("denygroups st*\n", kAlice) != "");
    CHECK(refusal("allowgroups wheel\n", kAlice) != "");
    CHECK(refusal("allowgroups wheel\nallowgroups staff\n", kAlice) == "");
}

TEST_CASE("sshd policy: root logs in as PermitRootLogin permits") {
    for (const char* const open : {"yes", "prohibit-password", "without-password"}) {
        CHECK(refusal(std::string("permitrootlogin ") + open + "\n", kRoot) == "");
    }
    CHECK(refusal("permitrootlogin no\n", kRoot) != "");
    CHECK(refusal("permitrootlogin no\n", kAlice) == "");
    CHECK(refusal("permitrootlogin forced-commands-only\n", kRoot) != "");
    SshdSubject forced = kRoot;
    forced.has_command = true;
    CHECK(refusal("permitrootlogin forced-commands-only\n", forced) == "");
}

TEST_CASE("sshd policy: what frshd cannot do is refused") {
    CHECK(refusal("chrootdirectory /srv\n", kAlice) != "");
    CHECK(refusal("chrootdirectory none\n", kAlice) == "");
    CHECK(refusal("pubkeyauthentication no\n", kAlice) != "");
    CHECK(refusal("authenticationmethods any\n", kAlice) == "");
    CHECK(refusal("authenticationmethods publickey\n", kAlice) == "");
    CHECK(refusal("authenticationmethods publickey,publickey\n", kAlice) != "");
    CHECK(refusal("forcecommand internal-sftp -d /x\n", kAlice) != "");
    CHECK(refusal("forcecommand x\n", kAlice) == "");
    CHECK(refusal("forcecommand x\n", kAlice, SshdPolicyMode::Refuse) != "");
}

TEST_CASE("sshd policy: settings that permit no session refuse by name") {
    CHECK(refusal("maxsessions 0\n", kAlice).starts_with("MaxSessions is 0"));
    CHECK(refusal("maxsessions 1\n", kAlice) == "");
    CHECK(refusal("refuseconnection yes\n", kAlice).starts_with("RefuseConnection is yes"));
    CHECK(refusal("refuseconnection no\n", kAlice) == "");
    for (const char* const unknown : {"/k/%x", "%", "/k/%h%", "%%%t"}) {
        CHECK(refusal(std::string("authorizedkeysfile ") + unknown + "\n", kAlice) != "");
    }
    CHECK(refusal("authorizedkeysfile /k/%%x %h/%u.%U\n", kAlice) == "");
    CHECK(refusal("chrootdirectory None\nforcecommand NONE\n", kAlice) == "");
}

TEST_CASE("sshd policy: settings are parsed with their whole values") {
    const SshdPolicy policy = parse_sshd_settings(
        "forcecommand echo \"a  b\" c\nrevokedkeys /x\npermittty no\nallowtcpforwarding remote\n"
        "permitopen a:1 b:*\nauthorizedkeysfile .ssh/k /etc/k/%u %h/x %%%U\nnoise\n");
    CHECK(policy.force_command == "echo \"a  b\" c");
    CHECK(policy.revoked_keys == "/x");
    CHECK(parse_sshd_settings("listenaddress [::]:22\nlistenaddress 1.2.3.4:2222 rdomain x\n")
              .ports == std::vector<unsigned>{22, 2222});
    CHECK_FALSE(policy.may_have_pty);
    CHECK_FALSE(policy.may_connect);
    CHECK(policy.may_listen);
    CHECK(policy.permit_open == std::vector<std::string>{"a:1", "b:*"});
    const User user{1000, 1000, "al", "/home/al", "/bin/sh"};
    CHECK(expand_key_files(policy, user) ==
          std::vector<std::string>{"/home/al/.ssh/k", "/etc/k/al", "/home/al/x", "/home/al/%1000"});
}

TEST_CASE("sshd policy: connecting and listening are closed apart") {
    CHECK_FALSE(parse_sshd_settings("allowtcpforwarding local\n").may_listen);
    CHECK(parse_sshd_settings("allowtcpforwarding local\n").may_connect);
    CHECK_FALSE(parse_sshd_settings("disableforwarding yes\n").may_listen);
    CHECK_FALSE(parse_sshd_settings("permitlisten none\n").may_listen);
    CHECK_FALSE(parse_sshd_settings("permitlisten any\n").permit_listen);
    CHECK(parse_sshd_settings("permitlisten 1 h:2\n").permit_listen ==
          std::vector<std::string>{"*:1", "h:2"});
}

TEST_CASE("sshd policy: the agent is closed by a keyword of its own, and with all forwarding") {
    CHECK(parse_sshd_settings("allowtcpforwarding no\n").may_have_agent);
    CHECK_FALSE(parse_sshd_settings("allowagentforwarding no\n").may_have_agent);
    CHECK_FALSE(parse_sshd_settings("disableforwarding yes\n").may_have_agent);
}

TEST_CASE("sshd policy: it takes away from a key, and never adds") {
    const auto narrowed = [](const std::string& options, const char* settings) {
        const std::string key = PrivateKey::generate_ed25519().public_key().text();
        auto parsed = parse_authorized_keys(options + (options.empty() ? "" : " ") + key);
        Grant grant{std::move(parsed.keys.at(0)), "here"};
        narrow(grant, parse_sshd_settings(settings));
        return grant.key;
    };
    const auto opens = narrowed("command=\"x\",permitopen=\"a:1\"", "permittty yes\n");
    CHECK(opens.may_connect());
    CHECK_FALSE(opens.may_listen());
    const auto listens = narrowed("command=\"x\",permitlisten=\"1\"", "permittty yes\n");
    CHECK_FALSE(listens.may_connect());
    CHECK(listens.may_listen());
    const auto bound = narrowed("command=\"x\"", "permitopen a:1\npermitlisten 1\n");
    CHECK_FALSE(bound.may_connect());
    CHECK_FALSE(bound.may_listen());
    CHECK_FALSE(narrowed("restrict", "permitopen a:1\n").may_connect());
    const auto local = narrowed("", "allowtcpforwarding local\nforcecommand x\n");
    CHECK(local.may_connect());
    CHECK_FALSE(local.may_listen());
    const auto some = narrowed("permitopen=\"a:1\",permitopen=\"b:2\"", "permitopen b:2 c:3\n");
    CHECK(some.permit_open == std::vector<std::string>{"b:2"});
    CHECK(some.may_connect());
    CHECK_FALSE(narrowed("permitopen=\"a:1\"", "permitopen c:3\n").may_connect());
}
