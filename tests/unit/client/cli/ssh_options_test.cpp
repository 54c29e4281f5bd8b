#include "client/cli/ssh_options.hpp"

#include "client/cli/ssh_names.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

using frsh::AddressFamily;
using frsh::SshOptions;
using frsh::Tty;
using Level = frsh::log::Level;
using Strings = std::vector<std::string>;
using namespace std::chrono_literals;

namespace {

// Two of frsh's own, one with a value.
std::optional<bool> takes_value(const std::string& name) {
    if (name == "--json") return false;
    if (name == "--timeout") return true;
    return std::nullopt;
}

std::variant<SshOptions, std::string> parse(const Strings& words) {
    return frsh::parse_ssh_options(words, takes_value);
}

SshOptions good(const Strings& words) {
    auto parsed = parse(words);
    const auto* const why = std::get_if<std::string>(&parsed);
    REQUIRE_MESSAGE(why == nullptr, *why);
    return std::get<SshOptions>(parsed);
}

// Why a command line is refused; empty where it is not.
std::string refusal(const Strings& words) {
    const auto parsed = parse(words);
    const auto* const why = std::get_if<std::string>(&parsed);
    return why == nullptr ? "" : *why;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

SshOptions key(const std::string& line) {
    return good({"-o", line, "host"});
}

}  // namespace

TEST_CASE("ssh options: they are read on both sides of the host") {
    const auto options = good({"-q", "host", "-l", "bob", "-p2222", "cmd", "-n", "--json"});
    CHECK(options.target == "host");
    CHECK(options.settings.user == "bob");
    CHECK(options.settings.port == 2222);
    CHECK(options.log_level == Level::Quiet);
    CHECK(options.words == Strings{"cmd", "-n", "--json"});
    CHECK_FALSE(options.stdin_null);
    CHECK(options.long_options.empty());
}

TEST_CASE("ssh options: restic, unison, tar and pssh put them behind the host") {
    CHECK(good({"host", "-s", "sftp"}).subsystem);
    CHECK(good({"host", "-s", "sftp"}).words == Strings{"sftp"});
    CHECK(good({"host", "-e", "none", "cmd"}).words == Strings{"cmd"});
    const auto options = good({"host", "-o", "NumberOfPasswordPrompts=1", "-l", "me", "cmd", "-x"});
    CHECK(options.settings.user == "me");
    CHECK(options.words == Strings{"cmd", "-x"});
}

TEST_CASE("ssh options: -- ends them before and behind the host") {
    CHECK(good({"-x", "--", "host", "-n", "cmd"}).words == Strings{"-n", "cmd"});
    CHECK(good({"host", "--", "-n", "cmd"}).words == Strings{"-n", "cmd"});
    CHECK(good({"host", "-n", "--", "--", "cmd"}).words == Strings{"--", "cmd"});
    CHECK(good({"-s", "--", "host", "sftp"}).words == Strings{"sftp"});
    CHECK(good({"host", "--"}).words.empty());
}

TEST_CASE("ssh options: a host that begins with a dash is refused") {
    CHECK(has(refusal({"--", "-oProxyCommand=touch x"}), "begins with a dash"));
    CHECK(has(refusal({"--", "-x", "cmd"}), "begins with a dash"));
    CHECK(has(refusal({"-"}), "begins with a dash"));
    CHECK(has(refusal({"ssh://-oProxyCommand=x"}), "is not ssh://"));
    CHECK(has(refusal({"ssh://me@%2doProxyCommand=x"}), "is not ssh://"));
}

TEST_CASE("ssh options: flags may be bundled, values joined or apart") {
    const auto options = good({"-xaqTn", "-lroot", "-p", "2222", "-oBatchMode=yes", "-o",
                               "ConnectTimeout=5", "-MT", "host"});
    CHECK(options.settings.user == "root");
    CHECK(options.settings.port == 2222);
    CHECK(options.settings.batch_mode == true);
    CHECK(options.settings.connect_timeout == 5s);
    CHECK(options.tty == Tty::Never);
    CHECK(options.stdin_null == true);
    // The last option of a bundle takes the next word, or the rest of its own.
    CHECK(good({"-Tl", "me", "host"}).settings.user == "me");
    CHECK(good({"-Tlme", "host"}).settings.user == "me");
    CHECK(good({"-vvv", "host"}).log_level == Level::Debug);
    CHECK(good({"-v", "host"}).log_level == Level::Info);
    CHECK(good({"-vq", "host"}).log_level == Level::Quiet);
}

TEST_CASE("ssh options: a missing value is reported with its option") {
    for (const char* const letter : {"b", "c", "e", "E", "F", "i", "l", "m", "o", "p", "S"}) {
        const std::string option = std::string("-").append(letter);
        CAPTURE(option);
        CHECK(refusal({option}) == option + ": its value is missing");
    }
    CHECK(has(refusal({"--timeout"}), "--timeout"));
    // What ansible asks to learn whether ControlPersist is known.
    const std::string why = refusal({"-o", "ControlPersist"});
    CHECK(has(why, "ControlPersist"));
    CHECK_FALSE(has(why, "Bad configuration option"));
    CHECK_FALSE(has(why, "Usage:"));
}

TEST_CASE("ssh options: the first of user@host, -l, User and ssh:// wins") {
    CHECK(good({"a@host"}).settings.user == "a");
    CHECK(good({"a@host"}).target == "a@host");
    CHECK(good({"a@b@host"}).settings.user == "a@b");
    CHECK(good({"-l", "b", "a@host"}).settings.user == "b");
    CHECK(good({"a@host", "-l", "b"}).settings.user == "a");
    CHECK(good({"-oUser=c", "-l", "b", "a@host"}).settings.user == "c");
    CHECK(good({"-p1", "-p2", "-oPort=3", "host"}).settings.port == 1);
    const auto uri = good({"ssh://me@host.example:2022", "cmd"});
    CHECK(uri.target == "host.example");
    CHECK(uri.settings.user == "me");
    CHECK(uri.settings.port == 2022);
    CHECK(uri.words == Strings{"cmd"});
    CHECK(good({"-p", "1", "ssh://host:2"}).settings.port == 1);
    CHECK(good({"ssh://host/"}).target == "host");
    CHECK(good({"ssh://a%40b;x=y@host"}).settings.user == "a@b");
    CHECK(good({"ssh://[::1]:22"}).target == "[::1]");
    CHECK_FALSE(good({"ssh://[::1]"}).settings.port);
    for (const char* const bad : {"ssh://", "ssh://@h", "ssh://h:0", "ssh://h:x", "ssh://h/path",
                                  "ssh://%zz@h", "ssh://%00@h", "@host", "me@", ""}) {
        CAPTURE(bad);
        CHECK_FALSE(refusal({bad}).empty());
    }
    CHECK_FALSE(good({"unix:/run/a@b"}).settings.user);
}

TEST_CASE("ssh options: frsh's long options mix with them") {
    const auto options =
        good({"--json", "-p", "1", "--timeout", "5s", "host", "--timeout=6s", "x"});
    CHECK(options.long_options == Strings{"--json", "--timeout=5s", "--timeout=6s"});
    CHECK(options.words == Strings{"x"});
    CHECK(good({"--timeout", "--json", "host"}).long_options == Strings{"--timeout=--json"});
    CHECK(has(refusal({"--no-such", "host"}), "unknown option --no-such"));
}

TEST_CASE("ssh options: -o takes Key=value and Key value in any case") {
    for (const char* const line :
         {"User=me", "user=me", "USER me", "User = me", "User\tme", " user=\"me\" ", "User=\"me\"",
          "User 'me'", "User=me # why", "user=m\"e\""}) {
        CAPTURE(line);
        CHECK(key(line).settings.user == "me");
    }
    CHECK(key("User=\"a b\"").settings.user == "a b");
    CHECK(key(R"(User="a\"b\\c")").settings.user == "a\"b\\c");
    CHECK(good({"-oUser me", "host"}).settings.user == "me");
    CHECK(has(refusal({"-o", "User=\"me", "host"}), "quote"));
    CHECK(has(refusal({"-o", "User=", "host"}), "missing"));
    CHECK(has(refusal({"-o", "", "host"}), "missing"));
    CHECK(has(refusal({"-o", "=x", "host"}), "missing"));
    CHECK(has(refusal({"-o", "NoSuchKey=1", "host"}), "NoSuchKey: Bad configuration option"));
    CHECK(good({"-oIgnoreUnknown=Use*,nosuch*", "-oNoSuchKey=1", "host"}).target == "host");
}

TEST_CASE("ssh options: the first value of a repeated key wins") {
    const auto options =
        good({"-oConnectTimeout=1", "-oConnectTimeout=2", "-oBatchMode=yes", "-oBatchMode=no",
              "-oProxyCommand=a", "-oProxyCommand=b", "-oUserKnownHostsFile=a",
              "-oUserKnownHostsFile=b", "-oEscapeChar=a", "-e", "b", "-oSetEnv=A=1", "-oSetEnv=A=2",
              "-oLogLevel=ERROR", "-oLogLevel=QUIET", "-oHostName=a", "host", "-oHostName=b"});
    CHECK(options.settings.connect_timeout == 1s);
    CHECK(options.settings.batch_mode == true);
    CHECK(options.settings.proxy_command == "a");
    CHECK(options.settings.user_known_hosts == Strings{"a"});
    CHECK(options.settings.address == "a");
    CHECK(options.escape == std::optional<char>('a'));
    CHECK(options.set_env == Strings{"A=1"});
    CHECK(options.log_level == Level::Error);
    CHECK(good({"-t", "-oRequestTTY=no", "host"}).tty == Tty::Wanted);
}

TEST_CASE("ssh options: every key with an effect sets its value") {
    CHECK(key("AddressFamily=inet6").settings.family == AddressFamily::V6);
    CHECK(good({"-4", "host"}).settings.family == AddressFamily::V4);
    CHECK(good({"-6", "host"}).settings.family == AddressFamily::V6);
    CHECK(key("BindAddress=192.0.2.1").settings.bind_address == "192.0.2.1");
    CHECK(good({"-b", "::1", "host"}).settings.bind_address == "::1");
    CHECK(key("ConnectionAttempts=3").settings.connection_attempts == 3U);
    CHECK(key("ConnectTimeout=1m30s").settings.connect_timeout == 90s);
    CHECK(key("ConnectTimeout=none").settings.connect_timeout == 0s);
    CHECK(key("HostName=%h.example").settings.address == "%h.example");
    CHECK(key("HostKeyAlias=box").settings.host_key_alias == "box");
    CHECK(key("IdentitiesOnly=yes").settings.identities_only == true);
    CHECK(key("IdentityAgent=none").settings.identity_agent == "none");
    CHECK(good({"-i", "a", "-oIdentityFile=b", "h"}).settings.identities == Strings{"a", "b"});
    CHECK(key("ProxyCommand=nc -X \"a b\" %h %p").settings.proxy_command == "nc -X \"a b\" %h %p");
    CHECK(key("ProxyCommand echo \"open").settings.proxy_command == "echo \"open");
    CHECK(key("ServerAliveInterval=2h").settings.alive_interval == 7200s);
    CHECK(key("ServerAliveCountMax=5").settings.alive_count == 5U);
    CHECK(key("UserKnownHostsFile=\"a b\" c").settings.user_known_hosts == Strings{"a b", "c"});
    CHECK(key("UserKnownHostsFile=none").settings.user_known_hosts == Strings{});
    CHECK(key("GlobalKnownHostsFile=g").settings.global_known_hosts == Strings{"g"});
    CHECK(key("LogLevel=QUIET").log_level == Level::Quiet);
    CHECK(key("LogLevel=error").log_level == Level::Error);
    CHECK(key("LogLevel=DEBUG3").log_level == Level::Debug);
    CHECK(key("RequestTTY=force").tty == Tty::Forced);
    CHECK(key("RemoteCommand=ls \"a b\"").remote_command == "ls \"a b\"");
    CHECK_FALSE(key("RemoteCommand=none").remote_command);
    CHECK(key("SessionType=none").no_command);
    CHECK(key("StdinNull=yes").stdin_null == true);
    CHECK(key("ForkAfterAuthentication=yes").background);
    CHECK(good({"-oSendEnv=A B*", "-o", "SendEnv -C", "h"}).send_env == Strings{"A", "B*", "-C"});
    CHECK(key("SetEnv=\"A=1 2\" B=3").set_env == Strings{"A=1 2", "B=3"});
    CHECK(key("EscapeChar=^]").escape == std::optional<char>('\x1d'));
    CHECK(good({"-e", "c", "-e~", "host"}).escape == std::optional<char>('c'));
    REQUIRE(good({"-e", "none", "host"}).escape);
    CHECK_FALSE(*good({"-e", "none", "host"}).escape);
    CHECK_FALSE(good({"host"}).escape);
    CHECK(good({"-Elog", "-F", "conf", "-fN", "-G", "host"}).log_file == "log");
    CHECK(good({"-F", "conf", "host"}).config_file == "conf");
    CHECK(good({"-G", "host"}).print_config);
    CHECK(good({"-N", "host"}).no_command);
    CHECK(good({"-f", "host", "x"}).background);
    CHECK(good({"-f", "host", "x"}).stdin_null == true);
    CHECK(good({"-V"}).version);
    CHECK(good({"-V", "-Z"}).version);
}

TEST_CASE("ssh options: -t, -tt, -T and RequestTTY choose the terminal") {
    CHECK_FALSE(good({"host"}).tty);
    CHECK(good({"-t", "host"}).tty == Tty::Wanted);
    CHECK(good({"-tt", "host"}).tty == Tty::Forced);
    CHECK(good({"-t", "host", "-t"}).tty == Tty::Forced);
    CHECK(good({"-t", "-T", "host"}).tty == Tty::Never);
    CHECK(good({"-oRequestTTY=no", "host"}).tty == Tty::Never);
}

TEST_CASE("ssh options: StrictHostKeyChecking=no means accept-new") {
    for (const char* const word : {"no", "off", "false", "accept-new"}) {
        const auto settings = key(std::string("StrictHostKeyChecking=") + word).settings;
        CHECK(settings.accept_new == true);
        CHECK(settings.refuse_unknown == false);
    }
    CHECK(key("StrictHostKeyChecking=yes").settings.refuse_unknown == true);
    CHECK(key("StrictHostKeyChecking=yes").settings.accept_new == false);
    CHECK(key("StrictHostKeyChecking=ask").settings.refuse_unknown == false);
    CHECK(good({"-oStrictHostKeyChecking=yes", "-oStrictHostKeyChecking=no", "h"})
              .settings.refuse_unknown == true);
}

TEST_CASE("ssh options: an invalid value is refused with its key") {
    for (const char* const line :
         {"Port=0", "Port=65536", "Port=ssh", "BatchMode=maybe", "ConnectTimeout=-1",
          "ConnectTimeout=5x", "ConnectTimeout=99999999999999999999", "ConnectionAttempts=x",
          "AddressFamily=inet5", "LogLevel=LOUD", "RequestTTY=perhaps", "EscapeChar=ab",
          "StrictHostKeyChecking=x", "SessionType=x", "SetEnv=A", "SetEnv==A"}) {
        CAPTURE(line);
        const std::string name = std::string(line).substr(0, std::string_view(line).find('='));
        CHECK(has(refusal({"-o", line, "host"}), name + ": "));
    }
}

TEST_CASE("ssh options: options without a noticeable effect are accepted") {
    for (const char* const option : {"-2", "-4", "-a", "-C", "-k", "-M", "-x", "-y", "-q", "-T"}) {
        CAPTURE(option);
        CHECK(good({option, "host", "cmd"}).words == Strings{"cmd"});
    }
    for (const char* const option : {"-c", "-m", "-S"}) {
        CHECK(good({option, "value", "host", "cmd"}).words == Strings{"cmd"});
    }
    CHECK(good({"-M", "-S", "s", "host", "exit"}).words == Strings{"exit"});
    CHECK(good({"-M", "-S", "s", "host"}).settings.control_path == "s");
    CHECK(good({"-M", "host"}).settings.control_master == true);
    CHECK(good({"-O", "check", "host"}).control_command == "check");
    const auto persist = [](const char* value) {
        const std::string line = std::string("ControlPersist=") + value;
        return good({"-o", line.c_str(), "host"}).settings.control_persist;
    };
    CHECK(persist("1m30s") == std::chrono::seconds(90));
    CHECK(persist("no") == std::chrono::seconds(0));
    CHECK(persist("0") == frsh::kShareForEver);
    CHECK(persist("yes") == frsh::kShareForEver);
    CHECK(!refusal({"-o", "ControlMaster=ask", "host"}).empty());
    CHECK(!refusal({"-O", "nonsense", "host"}).empty());
    for (const char* const line : {"ControlMaster=auto",
                                   "ControlPath=\"/a b/%C\"",
                                   "ControlPersist=60s",
                                   "Compression=yes",
                                   "ForwardAgent=no",
                                   "ForwardX11 no",
                                   "ForwardX11Trusted=no",
                                   "ClearAllForwardings=yes",
                                   "PermitLocalCommand=no",
                                   "LocalCommand=echo x",
                                   "RemoteCommand=none",
                                   "PreferredAuthentications=publickey",
                                   "PasswordAuthentication=no",
                                   "KbdInteractiveAuthentication=no",
                                   "ChallengeResponseAuthentication=no",
                                   "GSSAPIAuthentication=no",
                                   "HostbasedAuthentication=no",
                                   "PubkeyAuthentication=yes",
                                   "NumberOfPasswordPrompts=1",
                                   "TCPKeepAlive=yes",
                                   "IPQoS=throughput",
                                   "UpdateHostKeys=no",
                                   "HashKnownHosts=yes",
                                   "CheckHostIP=no",
                                   "VisualHostKey=no",
                                   "Ciphers=aes128-ctr",
                                   "MACs=hmac-sha2-256",
                                   "KexAlgorithms=x",
                                   "HostKeyAlgorithms=x",
                                   "PubkeyAcceptedAlgorithms=x",
                                   "ExitOnForwardFailure=yes",
                                   "AddKeysToAgent=yes",
                                   "Protocol=2",
                                   "RekeyLimit=1G",
                                   "ProxyJump=none",
                                   "Tunnel=no",
                                   "GatewayPorts=no"}) {
        CAPTURE(line);
        CHECK(good({"-o", line, "host"}).target == "host");
    }
}

TEST_CASE("ssh options: forwardings are collected, and a bad one is refused by name") {
    const auto settings =
        good({"-L", "1:h:2", "-D", "3", "-oLocalForward=4 h:5", "-oDynamicForward=[::1]:6",
              "-oExitOnForwardFailure=no", "-g", "host"})
            .settings;
    CHECK(settings.forwards == Strings{"L 1:h:2", "D 3", "L 4:h:5", "D [::1]:6"});
    CHECK(settings.exit_on_forward_failure == false);
    CHECK(settings.gateway_ports == true);
    CHECK(good({"-L", "1:h:2", "-oClearAllForwardings=yes", "host"}).settings.clear_forwardings ==
          true);
    CHECK(refusal({"-L", "1:h", "host"}).starts_with("-L: Bad local forwarding specification"));
    CHECK(good({"-W", "[::1]:80", "host"}).settings.forwards == Strings{"W [::1]:80"});
    CHECK(good({"-W", "/run/x", "host"}).no_command);
    for (const char* const bad : {"h", "h:0", "1:h:2", ":1", "", "h:", "x/y"}) {
        CAPTURE(bad);
        CHECK(refusal({"-W", bad, "host"}).starts_with("-W: Bad stdio forwarding specification"));
    }
    CHECK(refusal({"-D", "h", "host"}).starts_with("-D: Bad dynamic forwarding specification"));
    CHECK(refusal({"-R", "1:h", "host"}).starts_with("-R: Bad remote forwarding specification"));
    CHECK(has(refusal({"-oRemoteForward=1 h", "host"}), "Bad remote forwarding specification"));
    CHECK(has(refusal({"-oLocalForward=1", "host"}), "Bad local forwarding specification '1'"));
}

TEST_CASE("ssh options: -A asks, -A=yes does not, and a keyword never lends without a question") {
    using frsh::AgentForwarding;
    CHECK(good({"-A", "host"}).settings.agent == AgentForwarding::Ask);
    CHECK(good({"-TA", "host"}).settings.agent == AgentForwarding::Ask);
    CHECK(good({"-A=ask", "host"}).settings.agent == AgentForwarding::Ask);
    CHECK(good({"-A=yes", "host"}).settings.agent == AgentForwarding::Yes);
    CHECK(good({"-A", "-a", "host"}).settings.agent == AgentForwarding::No);
    CHECK(good({"-oForwardAgent=yes", "host"}).settings.agent == AgentForwarding::Ask);
    CHECK(good({"-oForwardAgent=no", "host"}).settings.agent == AgentForwarding::No);
    CHECK(refusal({"-A=no", "host"}) == "-A: takes =ask or =yes");
    CHECK(good({"-oStreamLocalBindMask=0117", "host"}).settings.socket_mask == 0117U);
}

TEST_CASE("ssh options: an option frsh cannot fulfil is refused by name") {
    for (const Strings& words : std::vector<Strings>{{"-X"},
                                                     {"-Y"},
                                                     {"-K"},
                                                     {"-1"},
                                                     {"-J", "a;b"},
                                                     {"-w", "0:0"},
                                                     {"-O", "proxy"},
                                                     {"-I", "lib"},
                                                     {"-B", "eth0"},
                                                     {"-Q", "cipher"}}) {
        CAPTURE(words[0]);
        Strings line = words;
        line.push_back("host");
        CHECK(refusal(line).starts_with(words[0] + ": "));
    }
    for (const char* const line :
         {"ForwardAgent=/agent", "StreamLocalBindMask=9", "ForwardX11=yes", "SmartcardDevice=d",
          "RefuseConnection=r", "Host=h", "ProxyJump=a,$(b)", "Tunnel=yes",
          "PubkeyAuthentication=no", "RevokedHostKeys=r", "PKCS11Provider=p", "BindInterface=eth0",
          "KnownHostsCommand=x", "Include=f", "GSSAPIDelegateCredentials=yes"}) {
        CAPTURE(line);
        const std::string name = std::string(line).substr(0, std::string_view(line).find('='));
        CHECK(has(refusal({"-o", line, "host"}), name + ": "));
    }
    CHECK(good({"-oRemoteForward=1 h:2", "-oClearAllForwardings=yes", "host"}).target == "host");
    CHECK(good({"-R", "1:h:2", "-oClearAllForwardings=yes", "host"}).target == "host");
    CHECK(refusal({"-Z", "host"}) == "unknown option -Z");
    CHECK(refusal({"-xZ", "host"}) == "unknown option -Z");
    CHECK(refusal({"-\x1b", "host"}) == "unknown option -\\x1b");
    CHECK(has(refusal({"-s", "host"}), "You must specify a subsystem"));
    CHECK(has(refusal({"-oRemoteCommand=a", "host", "b"}), "command-line and remote command"));
}

TEST_CASE("ssh options: an escaped NUL in ssh:// is refused (CVE-2025-61985)") {
    for (const char* const uri : {"ssh://a%00b@host", "ssh://host%00x", "ssh://%2doProxyCommand=x"})
        CHECK(has(refusal({uri}), "is not ssh://"));
}

TEST_CASE("ssh options: every letter is in one list or unknown") {
    // The options of OpenSSH 9.2. A missing letter would break tools that use it.
    const std::string known = "1246AaBbCcDEeFfGgIiJKkLlMmNnOopQqRSsTtVvWwXxYyh";
    for (char letter = '!'; letter <= '~'; ++letter) {
        if (letter == '-') continue;
        const bool is_unknown = has(refusal({std::string("-") + letter, "x", "host"}), "unknown");
        CAPTURE(letter);
        CHECK(is_unknown == (known.find(letter) == std::string::npos));
    }
}

TEST_CASE("ssh options: %-tokens are expanded once") {
    const frsh::SshTokens tokens = {{'h', "box"}, {'p', "22"}, {'r', "%h"}};
    CHECK(frsh::expand_tokens("nc %h:%p %r 100%%", tokens) == "nc box:22 %h 100%");
    CHECK_FALSE(frsh::expand_tokens("%x", tokens));
    CHECK_FALSE(frsh::expand_tokens("%", tokens));
}

TEST_CASE("ssh options: a name with shell characters is refused") {
    for (const char* const host : {"box", "192.0.2.1", "::1", "fe80::1%eth0", "a_b.example"}) {
        CHECK(frsh::is_safe_host(host));
    }
    for (const char* const host : {"", "-x", "a b", "a;b", "$(x)", "`x`", "a|b", "a\nb", "a'b",
                                   // The inputs of CVE-2023-51385 and CVE-2017-1000117.
                                   "`echo`x", "$USER", "a,b", "{a}", "-oProxyCommand=x", "a\tb"}) {
        CAPTURE(host);
        CHECK_FALSE(frsh::is_safe_host(host));
    }
    for (const char* const user : {"me", "a@b", "DOMAIN\\me", "a b", "machine$", "müller"})
        CHECK(frsh::is_safe_user(user));
    for (const char* const user :
         {"", "-x", "a;b", "`x`", "a|b", "$(x)", "me\\", "a\nb",
          // CVE-2025-61984: control characters; others of its kind.
          "a\n$[+]\nexec x", "a\rb", "a\x7f", "a -oX", "a$IFS-oX", "a'b", "a\"b", "{a}"}) {
        CAPTURE(user);
        CHECK_FALSE(frsh::is_safe_user(user));
    }
}
