#include "server/login/sshd_files.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

SshdFiles read_text(std::string_view text) {
    SshdFiles found;
    read_sshd_text(text, found);
    return found;
}

}  // namespace

TEST_CASE("sshd files: lines that decide nothing are harmless") {
    for (const char* const text :
         {"", "# DenyUsers x\n\n  \t\r\n", "UsePAM yes\nX11Forwarding no\n", "\tprintmotd\tNO\r\n",
          "AcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/sftp-server -l INFO\n",
          "Port 22\nPort 2222\n", "Include /etc/ssh/sshd_config.d/*.conf\n",
          "HostKey /etc/ssh/key\n", "MaxSessions 1\n", "PermitRootLogin prohibit-password\n",
          "AuthorizedKeysFile .ssh/authorized_keys\n"}) {
        CHECK_MESSAGE(read_text(text).is_harmless, text);
    }
}

TEST_CASE("sshd files: any other line is for sshd") {
    for (const char* const text : {"DenyUsers x",
                                   "\t denyusers\tx",
                                   "DENYUSERS=x",
                                   "\"Match\" all",
                                   "UsePAM yes\r\nMatch all",
                                   "NoSuchKeyword yes",
                                   "UsePAM",
                                   "UsePAM maybe",
                                   "UsePAM yes no",
                                   "UsePAM=yes",
                                   "UsePAM yes # why",
                                   "UsePAM \"yes\"",
                                   "UsePAM yes\\",
                                   "Port 0",
                                   "Port 22 23",
                                   "Port 65536",
                                   "MaxSessions 0",
                                   "AcceptEnv A-B",
                                   "Subsystem sftp",
                                   "Subsystem a b\nSubsystem a c",
                                   "PermitRootLogin no",
                                   "PermitTTY no",
                                   "AllowAgentForwarding no",
                                   "PubkeyAuthentication no",
                                   "UseDNS yes",
                                   "AuthorizedKeysFile .ssh/Authorized_keys",
                                   "AuthorizedKeysFile .ssh/authorized_keys x",
                                   "HostKey key",
                                   "Include",
                                   "Include \"a\"",
                                   "LogLevel LOUD",
                                   "UsePAM\fyes",
                                   "Us\xc3\xa9PAM yes"}) {
        CHECK_MESSAGE(!read_text(text).is_harmless, text);
    }
}

TEST_CASE("sshd files: the text shows what sshd must be asked with") {
    CHECK(read_text("match HOST x").has_host_names);
    CHECK(read_text("AllowUsers a b@c").has_host_names);
    CHECK_FALSE(read_text("Match Address 1.2.3.4\nDenyUsers a\n# Match Host x").has_host_names);
    CHECK(read_text("Match User x LocalPort 22").has_local_port);
    CHECK_FALSE(read_text("Port 22").has_local_port);
    CHECK(read_text("AuthorizedKeysFile \"a b\"").has_quoted_key_files);
    CHECK(read_text("authorizedkeysfile a\\ b").has_quoted_key_files);
    CHECK_FALSE(read_text("AuthorizedKeysFile a b").has_quoted_key_files);
    CHECK(read_text("Include a \"b\"\n  include=c\n\"INCLUDE\"\td\n").includes ==
          std::vector<std::string>{"a", "b", "c", "d"});
    CHECK(read_text(std::string_view("UsePAM yes\0\n", 12)).fault);
}
