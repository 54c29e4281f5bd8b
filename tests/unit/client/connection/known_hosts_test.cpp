#include "client/connection/known_hosts.hpp"

#include "common/base/error.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/private_key.hpp"
#include "tests/support/ssh_tools.hpp"

#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

using frsh::HostKeySources;
using frsh::ListVerdict;
using frsh::PrivateKey;
using frsh::PublicKey;
using Kind = frsh::HostKeyVerdict::Kind;

namespace {

PublicKey new_key() {
    return PrivateKey::generate_ed25519().public_key();
}

struct Folder : frsh::test::TempFolder {
    HostKeySources sources{*this / "own", {*this / "user", *this / "system"}, std::nullopt};
    [[nodiscard]] Kind judge(const PublicKey& key, const char* host = "server") const {
        return frsh::judge_host_key(sources, host, 7722, key).kind;
    }
};

}  // namespace

TEST_CASE("host pattern: stars and question marks match in bounded time") {
    CHECK(frsh::matches_pattern("server.example.com", "*.example.com"));
    CHECK(frsh::matches_pattern("abc", "a?c"));
    CHECK(frsh::matches_pattern("abc", "***abc***"));
    CHECK(frsh::matches_pattern("", "*"));
    CHECK(frsh::matches_pattern("aXbXc", "a*X*c"));
    CHECK_FALSE(frsh::matches_pattern("example.com", "*.example.com"));
    CHECK_FALSE(frsh::matches_pattern("abc", "ab"));
    CHECK_FALSE(frsh::matches_pattern("ab", "abc"));
    CHECK_FALSE(frsh::matches_pattern("", "?"));
    std::string hard;
    for (int i = 0; i < 100; ++i)
        hard += "*a";
    CHECK_FALSE(frsh::matches_pattern(std::string(10000, 'a') + "b", hard + "c"));
}

TEST_CASE("host pattern: one negated match outweighs all others") {
    CHECK(frsh::match_host_list("a.example.com", "*.example.com") == ListVerdict::Match);
    CHECK(frsh::match_host_list("A.Example.COM", "*.example.com") == ListVerdict::Match);
    CHECK(frsh::match_host_list("b.example.com", "*.example.com,!b.*") == ListVerdict::Negated);
    CHECK(frsh::match_host_list("c", "a,b") == ListVerdict::NoMatch);
    CHECK(frsh::match_host_list("c", "!a") == ListVerdict::NoMatch);
}

TEST_CASE("known hosts: a server is known, unknown or changed by frsh's own file") {
    Folder folder;
    const PublicKey key = new_key();
    CHECK(folder.judge(key) == Kind::Unknown);
    frsh::add_known_host(folder.sources.own, "server", 7722, key);
    CHECK(folder.judge(key) == Kind::Known);
    CHECK(folder.judge(key, "SERVER") == Kind::Known);
    CHECK(folder.judge(key, "other") == Kind::Unknown);
    CHECK(frsh::judge_host_key(folder.sources, "server", 22, key).kind == Kind::Unknown);

    const auto changed = frsh::judge_host_key(folder.sources, "server", 7722, new_key());
    CHECK(changed.kind == Kind::Changed);
    CHECK(changed.path == folder.sources.own);
    CHECK(changed.line == 1);
    CHECK(changed.recorded == key);
}

TEST_CASE("known hosts: several keys for one server are all good") {
    Folder folder;
    const PublicKey one = new_key();
    const PublicKey two = new_key();
    frsh::add_known_host(folder.sources.own, "server", 7722, one);
    frsh::add_known_host(folder.sources.own, "server", 7722, two);
    CHECK(folder.judge(one) == Kind::Known);
    CHECK(folder.judge(two) == Kind::Known);
    CHECK(folder.judge(new_key()) == Kind::Changed);
}

TEST_CASE("known hosts: ssh's files accept a key and never refuse one") {
    Folder folder;
    const PublicKey key = new_key();
    folder.write("system", "server " + key.text() + " comment\n");
    CHECK(folder.judge(key) == Kind::Known);
    CHECK(folder.judge(new_key()) == Kind::Unknown);
    folder.write("user", "[server]:7722 " + new_key().text() + "\n");
    CHECK(folder.judge(key) == Kind::Known);
    // Nor do they help against frsh's own file.
    frsh::add_known_host(folder.sources.own, "server", 7722, new_key());
    CHECK(folder.judge(key) == Kind::Changed);
}

TEST_CASE("known hosts: another key in ssh's files is named with its place") {
    Folder folder;
    const PublicKey recorded = new_key();
    folder.write("system", "other " + new_key().text() + "\nserver " + recorded.text() + "\n");
    const auto judge = [&](const PublicKey& key) {
        return frsh::judge_host_key(folder.sources, "server", 7722, key);
    };
    const auto verdict = judge(new_key());
    CHECK(verdict.kind == Kind::Unknown);
    CHECK(verdict.recorded == recorded);
    CHECK(verdict.path == folder.sources.ssh[1]);
    CHECK(verdict.line == 2);
    // A second line with the proven key makes it known.
    const PublicKey second = new_key();
    folder.write("user", "[server]:7722 " + second.text() + "\n");
    CHECK(judge(second).kind == Kind::Known);
    CHECK(judge(new_key()).recorded == second);
    // Keys that are revoked, or that belong to other hosts, are no conflict.
    folder.write("system", "@revoked server " + recorded.text() + "\n");
    folder.write("user", "[server]:22 " + recorded.text() + "\n");
    CHECK_FALSE(judge(new_key()).recorded);
}

TEST_CASE("known hosts: a key revoked in any file is refused") {
    const PublicKey key = new_key();
    for (const char* file : {"own", "user", "system"}) {
        Folder folder;
        folder.write("own", "[server]:7722 " + key.text() + "\n");
        REQUIRE(folder.judge(key) == Kind::Known);
        const std::string before = file == std::string("own") ? folder.read("own") : "";
        folder.write(file, before + "@revoked * " + key.text() + "\n");
        CHECK(folder.judge(key) == Kind::Revoked);
        CHECK(folder.judge(new_key()) != Kind::Revoked);
    }
}

TEST_CASE("known hosts: a pin counts after all files") {
    Folder folder;
    const PublicKey key = new_key();
    folder.sources.pin = key;
    CHECK(folder.judge(key) == Kind::Known);
    CHECK(folder.judge(new_key()) == Kind::Unknown);
    frsh::add_known_host(folder.sources.own, "server", 7722, new_key());
    CHECK(folder.judge(key) == Kind::Changed);
}

TEST_CASE("known hosts: malformed lines match no host") {
    const PublicKey key = new_key();
    const std::string text = key.text();
    CHECK(frsh::parse_known_hosts("# comment\n\n  \nserver\nserver ssh-ed25519\nserver x y\n")
              .empty());
    CHECK(frsh::parse_known_hosts("@other * " + text + "\n@cert-authority").empty());
    CHECK(frsh::parse_known_hosts("server ssh-rsa " + text.substr(12)).empty());
    const auto read = frsh::parse_known_hosts("\n\t a,b\t" + text + " comment\r\n");
    REQUIRE(read.size() == 1);
    CHECK(read[0].line == 2);
    CHECK(read[0].is_for("b"));
    for (const char* damaged : {"|1|", "|1||", "|1|AAAA|", "|2|AAAA|AAAA", "|1|AAAA|AAAA|A"}) {
        const auto hidden = frsh::parse_known_hosts(std::string(damaged) + " " + text);
        REQUIRE(hidden.size() == 1);
        CHECK_FALSE(hidden[0].is_for("server"));
        CHECK_FALSE(hidden[0].is_for(""));
    }
}

TEST_CASE("known hosts: a file is made for its owner only, with the folders above it") {
    const frsh::test::TempFolder folder;
    const std::string path = folder / "config/frsh/known_hosts";
    frsh::add_known_host(path, "server", 7722, new_key());
    struct stat status {};
    CHECK(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(::stat((folder / "config/frsh").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("known hosts: a new line never joins an unfinished last line") {
    Folder folder;
    const PublicKey one = new_key();
    const PublicKey two = new_key();
    folder.write("own", "[server]:7722 " + one.text());
    frsh::add_known_host(folder.sources.own, "server", 7722, two);
    CHECK(folder.judge(one) == Kind::Known);
    CHECK(folder.judge(two) == Kind::Known);
}

TEST_CASE("known hosts: a host name with pattern characters is refused") {
    const frsh::test::TempFolder folder;
    for (const char* bad : {"", "*", "a,b", "a b", "a\nb", "!a", "|1|a|b", "#a", "a]:1"}) {
        CHECK_THROWS_AS(frsh::add_known_host(folder / "own", bad, 7722, new_key()),
                        frsh::UserError);
    }
    frsh::add_known_host(folder / "own", "2001:db8::1", 7722, new_key());
}

TEST_CASE("known hosts: ssh-keygen and frsh read each other's lines") {
    if (frsh::test::is_missing("ssh-keygen")) return;
    Folder folder;
    const PublicKey key = new_key();
    const auto tool = [&](const char* option, const char* name = nullptr) {
        std::vector<std::string> argv = {"ssh-keygen", option};
        if (name != nullptr) argv.emplace_back(name);
        argv.insert(argv.end(), {"-f", "own"});
        return frsh::test::run_tool(folder, argv);
    };
    frsh::add_known_host(folder.sources.own, "Server", 7722, key);
    frsh::add_known_host(folder.sources.own, "other", 7722, new_key());
    CHECK(tool("-F", "[server]:7722").output.find(key.text()) != std::string::npos);
    CHECK(tool("-F", "[third]:7722").exit_code != 0);

    CHECK(tool("-H").exit_code == 0);
    CHECK(folder.read("own").find("server") == std::string::npos);
    CHECK(folder.judge(key) == Kind::Known);
    CHECK(folder.judge(new_key()) == Kind::Changed);
    CHECK(folder.judge(key, "third") == Kind::Unknown);

    CHECK(tool("-R", "[server]:7722").exit_code == 0);
    CHECK(folder.judge(key) == Kind::Unknown);
    CHECK(folder.judge(key, "other") == Kind::Changed);
}
