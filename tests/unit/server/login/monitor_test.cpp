#include "server/login/monitor.hpp"

#include "common/net/address.hpp"
#include "common/net/socket.hpp"
#include "server/audit_file.hpp"

#include <chrono>
#include <utility>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;

TEST_CASE("monitor: a login that fails before the host proof ends the gate at once") {
    const frsh::TlsContext context(frsh::TlsContext::Side::Server);
    frsh::AuditFile audit;
    frsh::MonitorSettings settings;  // Without a host key: admit() cannot prove any.
    settings.use_sandbox = false;
    settings.audit = &audit;
    settings.timeouts.gate_exit = 20s;
    const auto host_port = frsh::parse_host_port("127.0.0.1:0", frsh::BarePort::Allowed);
    const frsh::Fd listening = frsh::listen_tcp(frsh::resolve(host_port, true).at(0));
    const frsh::Address at = frsh::local_address(listening.get());
    const frsh::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), at.get(), at.size) == 0);
    frsh::Monitor monitor(context, std::move(settings), {});
    auto peer = frsh::accept_connection(listening.get());
    REQUIRE(peer);
    monitor.take(std::move(*peer));
    const auto began = std::chrono::steady_clock::now();
    CHECK_FALSE(monitor.admit());
    CHECK(std::chrono::steady_clock::now() - began < 10s);
    CHECK(monitor.exit_code() == static_cast<int>(frsh::LoginStatus::Silent));
}
