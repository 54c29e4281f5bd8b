// Fuzzes the first bytes of a TLS connection from any peer: they are refused without a crash.
#include "common/base/error.hpp"
#include "common/net/tls.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <sys/socket.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const frsh::TlsContext server(frsh::TlsContext::Side::Server);
    static const frsh::TlsContext client(frsh::TlsContext::Side::Client);
    static const bool is_quiet = std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
    frsh::must(is_quiet, "a reader that has gone is a return value");
    if (size == 0 || size > 60000) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    auto [near, far] = frsh::make_socketpair();
    frsh::write_all(far.get(), input);
    ::shutdown(far.get(), SHUT_WR);
    frsh::TlsTransport transport(std::move(near), (data[0] & 1) != 0 ? server : client);
    try {
        for (int i = 0; i < 4; ++i) {
            using Handshake = frsh::TlsTransport::Handshake;
            const Handshake step = transport.handshake();
            frsh::must(step != Handshake::Done, "no peer without a key gets through");
            if (step == Handshake::Greet) transport.greet("hello");
            if (step == Handshake::Refused) {
                char buffer[4096];
                frsh::must(transport.read(buffer, sizeof buffer).bytes != 0, "a refusal has words");
                break;
            }
        }
    } catch (const frsh::TlsError&) {
    } catch (const frsh::SysError&) {
    }
    return 0;
}
