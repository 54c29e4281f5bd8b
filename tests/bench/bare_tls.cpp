// The least that a command over TLS can cost: a handshake and a signature of each side, `sh -c
// true` and one byte for an answer. No session, no sandbox, no account, no frames; the server's
// processes are there before anybody comes, and serve one client after another.
//
// Usage: bench_bare_tls serve    prints its port, and serves until it is killed
//        bench_bare_tls PORT     one command
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/proof.hpp"
#include "common/net/socket.hpp"
#include "common/net/sshsig.hpp"
#include "common/net/tls.hpp"

#include <cstdio>
#include <string_view>

#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace frsh;
using Handshake = TlsTransport::Handshake;

constexpr int kServers = 4;
Address loopback(const std::string& port) {
    return resolve(parse_host_port("127.0.0.1:" + port, BarePort::Refused), false).front();
}

void wait_for(const TlsTransport& tls, short events) {
    pollfd polled{tls.read_fd(), events, 0};
    (void)::poll(&polled, 1, -1);
}

// Both sides prove themselves as frsh's servers do.
std::string proof_of(const PrivateKey& key, const TlsTransport& tls) {
    const ProofContext context{tls.exporter(), std::string(kNonceSize, '0')};
    return encode(
        HostProof{key.public_key(), sign_sshsig(key, kHostNamespace, host_proof_message(context))});
}

void check_proof(const std::string& proof, const TlsTransport& tls) {
    const ProofContext context{tls.exporter(), std::string(kNonceSize, '0')};
    if (!is_proven(parse_host_proof(proof), context)) throw UserError("no proof");
}

void shake_hands(TlsTransport& tls, const PrivateKey* greeting_key) {
    for (;;) {
        const Handshake step = tls.handshake();
        if (step == Handshake::Done) return;
        if (step == Handshake::Greet) {
            tls.greet(proof_of(*greeting_key, tls));
        } else {
            wait_for(tls, step == Handshake::WantsWrite ? POLLOUT : POLLIN);
        }
    }
}

std::string read_some(TlsTransport& tls) {
    char buffer[4096];
    for (;;) {
        const IoResult got = tls.read(buffer, sizeof buffer);
        if (got.status == IoResult::Status::EndOfFile) throw UserError("the other side has gone");
        if (got.status == IoResult::Status::Done) return {buffer, got.bytes};
        wait_for(tls, POLLIN);
    }
}

void write_all_of(TlsTransport& tls, std::string_view bytes) {
    must(tls.write(bytes).bytes == bytes.size() && !tls.has_unsent(), "so few go at once");
}

void run_command() {
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char command[] = "true";
    char* const words[] = {shell, option, command, nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, shell, nullptr, nullptr, words, environ) != 0) {
        throw UserError("no /bin/sh");
    }
    ::waitpid(pid, nullptr, 0);
}

[[noreturn]] void serve_one_after_another(int listening, const TlsContext& context,
                                          const PrivateKey& key) {
    for (;;) {
        pollfd polled{listening, POLLIN, 0};
        (void)::poll(&polled, 1, -1);
        auto socket = accept_connection(listening);
        if (!socket) continue;
        tune_tcp(socket->get());
        TlsTransport tls(std::move(*socket), context);
        shake_hands(tls, &key);
        check_proof(read_some(tls), tls);
        run_command();
        write_all_of(tls, "0");
        tls.finish_writing();
    }
}

[[noreturn]] void serve() {
    const TlsContext context(TlsContext::Side::Server);
    context.warm_up();
    const PrivateKey key = PrivateKey::generate_ed25519();
    const Fd listening = listen_tcp(loopback("0"));
    for (int i = 1; i < kServers; ++i) {
        if (::fork() != 0) continue;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_one_after_another(listening.get(), context, key);
    }
    std::printf("%u\n", local_address(listening.get()).port());
    std::fflush(stdout);
    serve_one_after_another(listening.get(), context, key);
}

void ask(const char* port) {
    Fd socket = connect_tcp(loopback(port), EventLoop::kNever);
    const TlsContext context(TlsContext::Side::Client);
    tune_tcp(socket.get());
    TlsTransport tls(std::move(socket), context);
    shake_hands(tls, nullptr);
    check_proof(read_some(tls), tls);
    write_all_of(tls, proof_of(PrivateKey::generate_ed25519(), tls));
    (void)read_some(tls);
}

}  // namespace

int main(int argc, char** argv) {
    frsh::log::set_program("bench_bare_tls");
    try {
        if (argc != 2) throw UserError("usage: bench_bare_tls serve|PORT");
        if (std::string_view(argv[1]) == "serve") serve();
        ask(argv[1]);
        return 0;
    } catch (const std::exception& error) {
        frsh::log::error(error.what());
        return 1;
    }
}
