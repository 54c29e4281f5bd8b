#include "server/login/peer_credentials.hpp"

#include "common/base/error.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"

#include <string>

#include <doctest/doctest.h>
#include <unistd.h>

using frsh::BarePort;
using frsh::judge_tables;
using frsh::parse_host_port;
using frsh::TableAddresses;
using frsh::UserError;

namespace {

const TableAddresses kIpv4{"0100007F:C350", "0100007F:1E2A",
                           "0000000000000000FFFF00000100007F:C350",
                           "0000000000000000FFFF00000100007F:1E2A"};
const TableAddresses kIpv6{"", "", "00000000000000000000000001000000:C350",
                           "00000000000000000000000001000000:1E2A"};

const std::string kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

std::string row(const std::string& local, const std::string& remote, const std::string& state,
                const std::string& uid, const std::string& inode) {
    return "   1: " + local + " " + remote + " " + state +
           " 00000000:00000000 00:00000000 00000000  " + uid + "        0 " + inode +
           " 1 0000000000000000 20 4 30 10 -1\n";
}

const std::string kPeer = kIpv4.v4_peer;
const std::string kOwn = kIpv4.v4_own;

}  // namespace

TEST_CASE("peer credentials: one established row with our uid is admitted") {
    CHECK_FALSE(judge_tables(kHead + row(kPeer, kOwn, "01", "1000", "4711"), kHead, kIpv4, 1000));
    // The row of our own end of the connection is ignored.
    CHECK_FALSE(judge_tables(
        kHead + row(kOwn, kPeer, "01", "0", "4712") + row(kPeer, kOwn, "01", "1000", "4711"), kHead,
        kIpv4, 1000));
}

TEST_CASE("peer credentials: a row of another uid is refused, root's too") {
    for (const char* const uid : {"0", "1001", "10000", "100", "65534"}) {
        CAPTURE(uid);
        CHECK(judge_tables(kHead + row(kPeer, kOwn, "01", uid, "4711"), kHead, kIpv4, 1000));
    }
    CHECK(judge_tables(kHead + row(kPeer, kOwn, "01", "1000", "4711"), kHead, kIpv4, 0));
}

TEST_CASE("peer credentials: root's server refuses TIME_WAIT rows with uid 0") {
    // 01 is ESTABLISHED; 06 TIME_WAIT, 05 FIN_WAIT2 and the rest are not.
    for (const char* const state :
         {"02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "0C"}) {
        CAPTURE(state);
        CHECK(judge_tables(kHead + row(kPeer, kOwn, state, "0", "4711"), kHead, kIpv4, 0));
    }
}

TEST_CASE("peer credentials: a socket without a process is refused") {
    CHECK(judge_tables(kHead + row(kPeer, kOwn, "01", "0", "0"), kHead, kIpv4, 0));
}

TEST_CASE("peer credentials: no row and two rows are refused") {
    CHECK(judge_tables(kHead, kHead, kIpv4, 0));
    CHECK(judge_tables("", "", kIpv4, 0));
    const std::string one = row(kPeer, kOwn, "01", "0", "4711");
    CHECK(judge_tables(kHead + one + one, kHead, kIpv4, 0));
    CHECK(judge_tables(kHead + one, kHead + row(kIpv4.v6_peer, kIpv4.v6_own, "01", "0", "4711"),
                       kIpv4, 0));
}

TEST_CASE("peer credentials: an IPv6 socket is found by its mapped address") {
    CHECK_FALSE(
        judge_tables(kHead, kHead + row(kIpv4.v6_peer, kIpv4.v6_own, "01", "7", "4711"), kIpv4, 7));
    CHECK(
        judge_tables(kHead, kHead + row(kIpv4.v6_peer, kIpv4.v6_own, "01", "8", "4711"), kIpv4, 7));
    CHECK_FALSE(
        judge_tables(kHead, kHead + row(kIpv6.v6_peer, kIpv6.v6_own, "01", "7", "4711"), kIpv6, 7));
}

TEST_CASE("peer credentials: an empty address matches no row") {
    // For IPv6 there is no form for the first table: a row with empty columns must not match it.
    CHECK(judge_tables("   1:   01 a b c d 7 0 4711 x y z\n", kHead, kIpv6, 7));
}

TEST_CASE("peer credentials: malformed rows are skipped") {
    for (const char* const odd :
         {"", "\n\n", "x", " 1: a b", "   1: 0100007F:C350 0100007F:1E2A 01\n"}) {
        CAPTURE(odd);
        CHECK(judge_tables(odd, odd, kIpv4, 0));
    }
}

TEST_CASE("peer credentials: our own connection is admitted in both families") {
    for (const char* const where : {"127.0.0.1:0", "[::1]:0"}) {
        frsh::Fd listening;
        try {
            listening =
                frsh::listen_tcp(frsh::resolve(parse_host_port(where, BarePort::Refused), true)[0]);
        } catch (const UserError& error) {
            MESSAGE("skipped: " << error.what());
            continue;
        }
        const frsh::Address address = frsh::local_address(listening.get());
        CHECK(address.is_loopback());
        frsh::Fd client = frsh::connect_tcp(address, frsh::EventLoop::kNever);
        auto server = frsh::accept_connection(listening.get());
        REQUIRE(server);
        CHECK_FALSE(frsh::refuse_plaintext_peer(server->get()));
        client.close();
        CHECK(frsh::refuse_plaintext_peer(server->get()));
    }
}

TEST_CASE("address: hosts and ports are parsed in every form") {
    const auto parsed = [](const char* text) {
        const auto result = parse_host_port(text, BarePort::Allowed, "def");
        return result.host + " " + std::to_string(result.port);
    };
    CHECK(parsed("host") == "host 7722");
    CHECK(parsed("host:1") == "host 1");
    CHECK(parsed("80") == "def 80");
    CHECK(parsed(":80") == "def 80");
    CHECK(parsed("0") == "def 0");
    CHECK(parsed("127.0.0.1:65535") == "127.0.0.1 65535");
    CHECK(parsed("[::1]") == "::1 7722");
    CHECK(parsed("[::1]:5") == "::1 5");
    CHECK(parsed("::1") == "::1 7722");
    CHECK(parse_host_port("80", BarePort::Refused).host == "80");
}

TEST_CASE("address: a malformed address is refused with a reason") {
    for (const char* const bad :
         {"", "host:", "host:x", "host:65536", "host:-1", "host: 1", "[::1", "[::1]x",
          "[::1]:", "[::1]:x", "65536", ":", "99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS((void)parse_host_port(bad, BarePort::Allowed, "def"), UserError);
    }
}

TEST_CASE("address: loopback is 127/8, ::1 and addresses mapped to them") {
    const auto is_loopback = [](const char* text) {
        return frsh::resolve(parse_host_port(text, BarePort::Refused), false)[0].is_loopback();
    };
    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("127.255.0.9"));
    CHECK(is_loopback("::1"));
    CHECK(is_loopback("::ffff:127.0.0.1"));
    CHECK_FALSE(is_loopback("128.0.0.1"));
    CHECK_FALSE(is_loopback("::"));
    CHECK_FALSE(is_loopback("::ffff:192.0.2.1"));
    CHECK_FALSE(is_loopback("0.0.0.0"));
}
