#include "common/net/foreign_peer.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <cstddef>

namespace frsh {
namespace {

using namespace std::string_view_literals;

// The most bytes that a message quotes.
constexpr std::size_t kQuoted = 40;

struct Kind {
    std::string_view beginning;
    std::string_view name;  // Without "server" or "client".
};

constexpr Kind kKinds[] = {
    {"SSH-"sv, "an SSH"},
    {"+OK"sv, "a mail (POP3)"},
    {"* OK"sv, "a mail (IMAP)"},
    {"* BYE"sv, "a mail (IMAP)"},
    {"-ERR"sv, "a Redis"},
    {"-DENIED"sv, "a Redis"},
    {"RFB 0"sv, "a VNC"},
    {"AMQP"sv, "an AMQP"},
    {"@RSYNCD:"sv, "an rsync"},
    {"<?xml"sv, "an XMPP or web"},
    {"<!DOCTYPE"sv, "a web"},
    {"<!doctype"sv, "a web"},
    {"<html"sv, "a web"},
    {"ICY "sv, "a radio"},
    {"RTSP/"sv, "an RTSP"},
    {"SIP/"sv, "a SIP"},
    {"INFO {"sv, "a NATS"},
    {"ERROR\r\n"sv, "a memcached"},
    {"\x16\x03"sv, "a TLS"},
    {"\x15\x03"sv, "a TLS"},
    {"\xff\xfb"sv, "a telnet"},
    {"\xff\xfd"sv, "a telnet"},
    {"\xff\xfe"sv, "a telnet"},
    {"\x03\0\0"sv, "a remote desktop (RDP)"},
    {"\x05\xff"sv, "a SOCKS proxy"},
    {"E\0\0\0"sv, "a PostgreSQL"},
    {"GET "sv, "a web"},
    {"HEAD "sv, "a web"},
    {"POST "sv, "a web"},
    {"PUT "sv, "a web"},
    {"OPTIONS "sv, "a web"},
    {"CONNECT "sv, "a web"},
    {"PRI * "sv, "a web"},
};

bool begins(std::string_view first, std::string_view beginning) {
    return first.substr(0, beginning.size()) == beginning;
}

bool has_word(std::string_view first, std::string_view word) {
    const auto found = std::search(first.begin(), first.end(), word.begin(), word.end(),
                                   [](char one, char other) { return (one | 0x20) == other; });
    return found != first.end();
}

// RFC 9110: "HTTP/1.1 502 Bad Gateway". These codes are a proxy's.
std::string kind_of_http(std::string_view first, const std::string& role) {
    const std::size_t blank = first.find(' ');
    const std::string_view code = blank < first.size() ? first.substr(blank + 1, 3) : ""sv;
    if (code == "407") return "an HTTP proxy that wants a login (HTTP 407)";
    if (code == "502" || code == "503" || code == "504") {
        return "a web server or proxy (HTTP " + std::string(code) + ")";
    }
    return "a web " + role;
}

// RFC 5321 and RFC 959 have the same greeting.
std::string kind_of_220(std::string_view first, const std::string& role) {
    if (has_word(first, "smtp") || has_word(first, "mail")) return "a mail (SMTP) " + role;
    if (has_word(first, "ftp")) return "an FTP " + role;
    return "a mail (SMTP) or FTP " + role;
}

bool is_mysql(std::string_view first) {
    return first.size() >= 5 && first[2] == 0 && first[3] == 0 &&
           (first[4] == 10 || first[4] == '\xff');
}

}  // namespace

std::string kind_of_foreign(std::string_view first, const std::string& role) {
    if (begins(first, "HTTP/")) return kind_of_http(first, role);
    for (const std::string_view code : {"220 "sv, "220-"sv, "421 "sv, "554 "sv}) {
        if (begins(first, code)) return kind_of_220(first, role);
    }
    for (const Kind& kind : kKinds) {
        if (!begins(first, kind.beginning)) continue;
        const bool is_whole = kind.name.ends_with("proxy");
        return std::string(kind.name) + (is_whole ? "" : " " + role);
    }
    if (is_mysql(first)) return "a MySQL " + role;
    return "";
}

std::string describe_foreign(std::string_view first, const std::string& role) {
    const std::string kind = kind_of_foreign(first, role);
    if (!kind.empty()) return "that is " + kind + ", not frsh";
    return "the " + role + " is not frsh; it sent \"" + escape_controls(first.substr(0, kQuoted)) +
           "\"";
}

bool may_be_frame(std::string_view first) {
    constexpr std::string_view kBeginning = "\0\0"sv;  // A header is shorter than 64 KiB.
    if (first.substr(0, 2) != kBeginning.substr(0, first.size())) return false;
    return first.size() <= 4 || first[4] == '{';
}

}  // namespace frsh
