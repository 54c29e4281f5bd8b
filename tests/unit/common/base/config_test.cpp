// Configuration files: what is in them is taken as it was meant, or refused by name and line.
#include "common/base/config.hpp"

#include "client/cli/config.hpp"
#include "client/cli/ssh_config.hpp"
#include "common/base/error.hpp"
#include "server/config.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

namespace {

template <typename Parse>
std::string refusal(Parse parse, const std::string& text) {
    try {
        (void)parse(text, "F");
    } catch (const UserError& error) {
        return error.what();
    }
    return "taken";
}

std::string server_refusal(const std::string& text) {
    return refusal(parse_server_config, text);
}
std::string client_refusal(const std::string& text) {
    return refusal(parse_client_config, text);
}

}  // namespace

TEST_CASE("server configuration: each key is understood") {
    const ServerSettings settings = parse_server_config(R"(
listen = ["0.0.0.0:7722", "[::]:7722"]   # Everywhere.
unix = true
host_key = "/etc/frsh/key"
audit = "/var/log/frshd.json"
log_level = "debug"
permit_root_login = false
permit_user_environment = true
allow_users = ["alice", "build-*"]
allow_groups = "staff"
accept_env = []
plain_shells = ["*sh"]
keep_age = "2d"
keep_total = "1G"
keep_stream = "64K"
penalty_exempt = ["192.0.2.0/24", "2001:db8::/32", "10.0.*", "!192.0.2.9"]
)",
                                                        "F");
    CHECK(settings.listen == Strings{"0.0.0.0:7722", "[::]:7722"});
    CHECK(settings.unix_path == "");
    CHECK(settings.host_key == "/etc/frsh/key");
    CHECK(settings.audit == "/var/log/frshd.json");
    CHECK(settings.log_level == log::Level::Debug);
    CHECK(settings.permit_root_login == false);
    CHECK(settings.permit_user_environment == true);
    CHECK(settings.allow_users == Strings{"alice", "build-*"});
    CHECK(settings.allow_groups == Strings{"staff"});
    CHECK(settings.accept_env == Strings{});
    CHECK(settings.plain_shells == Strings{"*sh"});
    CHECK(settings.keep_age == std::chrono::hours(48));
    CHECK(settings.keep_total == std::uint64_t{1} << 30);
    CHECK(settings.keep_stream == std::uint64_t{65536});
    CHECK(settings.penalty_exempt ==
          Strings{"192.0.2.0/24", "2001:db8::/32", "10.0.*", "!192.0.2.9"});
}

TEST_CASE("server configuration: penalty_exempt takes addresses and networks only") {
    for (const char* const bad :
         {"office", "!office", "192.0.2.1/24", "192.0.2.0/40", "1.2.3.4,5.6.7.8"}) {
        CAPTURE(bad);
        const std::string text = "penalty_exempt = [\"" + std::string(bad) + "\"]";
        CHECK(server_refusal(text).starts_with("F: penalty_exempt: not an address or network"));
    }
}

TEST_CASE("server configuration: an absent key differs from a set one") {
    const ServerSettings settings = parse_server_config("# nothing\n", "F");
    CHECK_FALSE(settings.listen);
    CHECK_FALSE(settings.unix_path);
    CHECK_FALSE(settings.permit_root_login);
    CHECK_FALSE(settings.allow_users);
    CHECK_FALSE(settings.accept_env);
    CHECK_FALSE(parse_server_config("unix = false", "F").unix_path);
    CHECK(parse_server_config("unix = \"/run/x\"", "F").unix_path == "/run/x");
    CHECK(parse_server_config("allow_users = []", "F").allow_users == Strings{});
}

TEST_CASE("configuration: the first unknown key is refused by its line") {
    CHECK(server_refusal("\n\nlisten_on = '1'\nother = 2\n") == "F:3: unknown key: listen_on");
    CHECK(server_refusal("permit_root_login = true\n[limits]\nx = 1") ==
          "F:2: unknown key: limits");
    CHECK(client_refusal("[defaults]\nusr = 'a'") == "F:2: unknown key: usr");
    CHECK(client_refusal("[hosts.a]\nport = 1\n[hosts.b]\nprot = 1") == "F:4: unknown key: prot");
    CHECK(client_refusal("port = 1") == "F:1: unknown key: port");
    CHECK(client_refusal("[defaults]\naddress = '192.0.2.1'") == "F:2: unknown key: address");
    CHECK(server_refusal("\"a\\u0007b\" = 1") == "F:1: unknown key: a\\x07b");
}

TEST_CASE("configuration: a value of a wrong type or range is refused") {
    CHECK(server_refusal("permit_root_login = 'yes'") ==
          "F:1: permit_root_login: is neither true nor false");
    CHECK(server_refusal("permit_root_login = 1") ==
          "F:1: permit_root_login: is neither true nor false");
    CHECK(server_refusal("\nlisten = 7722") == "F:2: listen: is not a text in quotes");
    CHECK(server_refusal("listen = [\n'1',\n7722]") == "F:3: listen: is not a text in quotes");
    CHECK(server_refusal("listen = [['1']]") == "F:1: listen: is not a text in quotes");
    CHECK(server_refusal("unix = ''") == "F:1: unix: is empty");
    CHECK(server_refusal("audit = \"a\\u0000b\"") == "F:1: audit: has a NUL in it");
    CHECK(server_refusal("forwarding = 'some'") ==
          "F:1: forwarding: is not \"none\", \"local\", \"remote\" or \"all\"");
    for (const char* const place : {"db", "db:", ":80", "db:http", "db:70000"}) {
        const std::string list = std::string("permit_open = ['") + place + "']";
        CHECK(server_refusal(list).starts_with("permit_open: \"" + std::string(place) + "\" is"));
    }
    CHECK(server_refusal("log_level = 'loud'") ==
          "F:1: log_level: is not \"error\", \"notice\", \"info\" or \"debug\"");
    CHECK(server_refusal("host_key = 2020-01-01") == "F:1: host_key: is not a text in quotes");
    for (const char* const port : {"0", "65536", "-1", "'22'", "1.5", "9223372036854775807"}) {
        CHECK(client_refusal(std::string("[defaults]\nport = ") + port) ==
              "F:2: port: is not a whole number from 1 to 65535");
    }
    CHECK(client_refusal("[defaults]\nlinger = 'soon'") ==
          "F:2: linger: is not a duration or \"inf\"");
    for (const char* const value : {"shrug", "keep"}) {
        CHECK(client_refusal("[hosts.a]\non_disconnect = '" + std::string(value) + "'") ==
              "F:2: on_disconnect: is not \"kill\" or \"grace:DURATION\"");
    }
    CHECK(client_refusal("[defaults]\nconnect_timeout = -1") ==
          "F:2: connect_timeout: is not a duration");
    CHECK(client_refusal("[defaults]\nidentity = []") == "F:2: identity: is empty");
    CHECK(client_refusal("hosts = 1") == "F:1: hosts: is not a table");
    CHECK(client_refusal("[hosts]\na = 'b'") == "F:2: hosts.a: is not a table");
    CHECK(client_refusal("defaults = []") == "F:1: defaults: is not a table");
}

TEST_CASE("configuration: text that is not TOML is refused by its line") {
    for (const char* const text : {"a", "a =", "[a", "a = 'b", "a = 1\na = 2", "\xff = 1", "= 1",
                                   "a = 1 b = 2", "a = \"\\q\""}) {
        const std::string why = server_refusal(std::string("# fine\n") + text);
        CAPTURE(why);
        CHECK(why.starts_with("F:"));
        CHECK(why.find('\n') == std::string::npos);
        CHECK(why.find("unknown key") == std::string::npos);
    }
    CHECK(server_refusal(std::string(100'000, '[')).starts_with("F:1: "));
}

TEST_CASE("client configuration: each key is understood, also per host") {
    const ClientConfig config = parse_client_config(R"(
[defaults]
user = "alice"
linger = "inf"
on_disconnect = "grace:5m"
connect_timeout = 3
[hosts.build]
address = "192.0.2.7"
port = 7700
user = "ci"
identity = ["~/.ssh/build", "/keys/b"]
accept_new = true
linger = "250ms"
ssh_config = "none"
on_disconnect = "kill"
[hosts."192.0.2.8"]
via = "ssh jump frshd --stdio"
)",
                                                    "F");
    CHECK(config.defaults.user == "alice");
    CHECK(config.defaults.connect_timeout == 3s);
    REQUIRE(config.defaults.linger);
    CHECK_FALSE(config.defaults.linger->time);
    REQUIRE(config.hosts.size() == 2);
    const ConnectionSettings& build = config.hosts.at("build");
    CHECK(build.address == "192.0.2.7");
    CHECK(build.port == 7700);
    CHECK(build.user == "ci");
    CHECK(build.identities == Strings{"~/.ssh/build", "/keys/b"});
    CHECK(build.accept_new == true);
    CHECK(build.linger->time == 250ms);
    CHECK(build.ssh_config == "none");
    CHECK(build.on_disconnect == OnDisconnect{});
    CHECK(config.defaults.on_disconnect == OnDisconnect{OnDisconnect::Kind::Grace, 5min});
    CHECK(config.hosts.at("192.0.2.8").via == "ssh jump frshd --stdio");
}

TEST_CASE("settings: the first source that sets an option wins") {
    ConnectionSettings first;
    first.user = "a";
    first.accept_new = false;
    ConnectionSettings second;
    second.user = "b";
    second.port = 2;
    second.accept_new = true;
    second.identities = {"x"};
    second.linger = Linger{};
    second.connect_timeout = 2s;
    second.address = std::string("y");  // GCC 12 warns of the short form, wrongly.
    second.via = std::string("v");
    second.ssh_config = "none";
    second.first_identities = {"z"};
    fill_in(first, second);
    CHECK(first.user == "a");
    CHECK(first.accept_new == false);
    CHECK(first.port == 2);
    CHECK(first.identities == Strings{"x"});
    CHECK(first.linger);
    CHECK(first.connect_timeout == 2s);
    CHECK(first.address == "y");
    CHECK(first.via == "v");
    CHECK(first.ssh_config == "none");
    CHECK(first.first_identities == Strings{"z"});
}

TEST_CASE("settings: a target is split into user, host and port") {
    CHECK_FALSE(parse_tcp_target("local"));
    CHECK_FALSE(parse_tcp_target("unix:/x"));
    const auto all = parse_tcp_target("a@b@host:22");
    REQUIRE(all);
    CHECK(all->host == "host");
    CHECK(all->settings.user == "a@b");
    CHECK(all->settings.port == 22);
    const auto bare = parse_tcp_target("host");
    REQUIRE(bare);
    CHECK_FALSE(bare->settings.user);
    CHECK_FALSE(bare->settings.port);
    CHECK(parse_tcp_target("[::1]:7722")->settings.port == 7722);
    CHECK(parse_tcp_target("::1")->host == "::1");
    CHECK_THROWS_AS((void)parse_tcp_target("host:0"), UserError);
    CHECK_THROWS_AS((void)parse_tcp_target("host:65536"), UserError);
    ConnectionSettings settings;
    CHECK(place_of("a@host", settings).host == "host");
    CHECK(place_of("host", settings).port == 7722);
    settings.address = "192.0.2.7";
    settings.port = 1;
    CHECK(place_of("host", settings).host == "192.0.2.7");
    CHECK(place_of("host", settings).port == 1);
}

TEST_CASE("ssh configuration: ssh runs only if its file may matter") {
    CHECK_FALSE(may_speak_of("", "host"));
    CHECK_FALSE(may_speak_of("# User a\nPort 22\n", "host"));
    CHECK(may_speak_of("user=a", "host"));
    CHECK(may_speak_of("\t HostName  b\r\n", "host"));
    CHECK(may_speak_of("Include other\n", "host"));
    CHECK_FALSE(may_speak_of("Host other\nUser a\n", "host"));
    CHECK(may_speak_of("Host other\nUser a\nHost = \"HO?T\"\nIdentityFile x\n", "host"));
    CHECK(may_speak_of("Host\tother\t*\nUser a\n", "host"));
    CHECK(may_speak_of("Host other\nMatch user b\nUser a\n", "host"));
    CHECK_FALSE(may_speak_of("Match user b\nPort 1\nHost other\nInclude x\n", "host"));
}

TEST_CASE("ssh configuration: a keyword without an effect here is noted once") {
    const SshAnswer answer = parse_ssh_answer(
        "setenv A=b c\nsetenv D=e\nserveraliveinterval 7\nproxycommand nc \"%h\" 1\n"
        "localforward 1 [h]:2\nlocalforward [::1]:3 [h]:4\nremoteforward 5 [socks]:0\n"
        "dynamicforward 6\nforwardagent yes\nforwardx11 yes\ncompression yes\n"
        "certificatefile ~/.ssh/c\nnewkeyword x\n");
    CHECK(answer.options.set_env == Strings{"A=b c", "D=e"});
    CHECK(answer.options.settings.alive_interval == std::chrono::seconds(7));
    CHECK(answer.options.settings.proxy_command == "nc \"%h\" 1");
    Strings loud;
    Strings quiet;
    for (const SshAnswer::Note& note : answer.notes)
        (note.matters ? loud : quiet).push_back(note.keyword);
    CHECK(answer.options.settings.forwards ==
          Strings{"L 1:[h]:2", "L [::1]:3:[h]:4", "R 5:[socks]:0", "D 6"});
    CHECK(answer.options.settings.agent == frsh::AgentForwarding::Ask);
    CHECK(loud == Strings{"ForwardX11"});
    CHECK(answer.options.settings.certificates == Strings{"~/.ssh/c"});
    CHECK(quiet == Strings{"compression", "newkeyword"});
}

TEST_CASE("ssh configuration: a line that a program or a variable decides is dynamic") {
    const auto is_dynamic = [](std::string_view line) {
        return is_dynamic_ssh_line(parse_ssh_line(line));
    };
    for (const char* const line : {"Match exec true", "match host a !exec=\"x\"", "User ${ME}",
                                   "Include %d/x", "CanonicalizeHostname yes", "Match \"a"}) {
        INFO(line);
        CHECK(is_dynamic(line));
    }
    for (const char* const line : {"Match host exec.example", "HostName %h.example", "Host exec",
                                   "CanonicalizeHostname no", "Include ~/x", "# Match exec a"}) {
        INFO(line);
        CHECK_FALSE(is_dynamic(line));
    }
}

TEST_CASE("ssh configuration: the port is never taken") {
    const SshAnswer answer = parse_ssh_answer(
        "user bob\nhostname 192.0.2.9\nport 2222\nidentityfile ~/.ssh/id_rsa\n"
        "identityfile ~/.ssh/work key\nidentityfile ~/.ssh/id_ed25519_sk\nidentityfile none\n");
    const ConnectionSettings& said = answer.options.settings;
    CHECK(said.user == "bob");
    CHECK(said.address == "192.0.2.9");
    CHECK_FALSE(said.port);
    CHECK(said.identities.empty());
    CHECK(said.first_identities == Strings{"~/.ssh/work key"});
}
