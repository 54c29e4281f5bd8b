// TLS for tests that say everything else by hand: connects, writes the 32 bytes of the channel
// binding to stdout, and from then on moves bytes, stdin to the server and the server's to stdout.
// The end of stdin is a goodbye to the server. Usage: tls_bridge PORT
#include "common/net/socket.hpp"
#include "common/net/tls.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace {

using namespace frsh;
using Status = IoResult::Status;

void wait(const TlsTransport& tls, short events) {
    pollfd polled{tls.read_fd(), events, 0};
    ::poll(&polled, 1, -1);
}

void shake_hands(TlsTransport& tls) {
    for (;;) {
        switch (tls.handshake()) {
            case TlsTransport::Handshake::WantsRead:
                wait(tls, POLLIN);
                break;
            case TlsTransport::Handshake::WantsWrite:
                wait(tls, POLLOUT);
                break;
            case TlsTransport::Handshake::Done:
                return;
            default:
                throw TlsError("refused in plain text");
        }
    }
}

void send(TlsTransport& tls, std::string_view bytes) {
    while (!bytes.empty() || tls.has_unsent()) {
        const IoResult put = tls.write(bytes);
        if (put.status == Status::EndOfFile) return;
        bytes.remove_prefix(put.bytes);
        if (put.status == Status::WouldBlock || tls.has_unsent()) wait(tls, POLLOUT);
    }
}

void bridge(TlsTransport& tls) {
    bool has_more = true;
    char buffer[65536];
    for (;;) {
        IoResult got;
        while ((got = tls.read(buffer, sizeof buffer)).status == Status::Done)
            write_all(STDOUT_FILENO, {buffer, got.bytes});
        if (got.status == Status::EndOfFile) return;
        pollfd polled[] = {{tls.read_fd(), POLLIN, 0}, {has_more ? STDIN_FILENO : -1, POLLIN, 0}};
        ::poll(polled, 2, -1);
        if (polled[1].revents == 0) continue;
        const IoResult said = read_some(STDIN_FILENO, buffer, sizeof buffer);
        has_more = said.status != Status::EndOfFile;
        if (has_more) {
            send(tls, {buffer, said.bytes});
        } else {
            tls.finish_writing();
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    try {
        const auto addresses =
            resolve({"127.0.0.1", static_cast<unsigned>(std::atoi(argv[1]))}, false);
        const TlsContext context(TlsContext::Side::Client);
        Fd socket = connect_tcp(addresses.at(0), EventLoop::kNever);
        tune_tcp(socket.get());
        TlsTransport tls(std::move(socket), context);
        shake_hands(tls);
        write_all(STDOUT_FILENO, tls.exporter());
        bridge(tls);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "tls_bridge: %s\n", error.what());
        return 1;
    }
}
