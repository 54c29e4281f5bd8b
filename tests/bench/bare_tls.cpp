// The least that a command over TLS can cost: a handshake and a signature of each side, `sh -c
// true` and one byte for an answer. No session, no sandbox, no account, no frames; the server's
// processes exist before the first client, and each serves one client after another.
//
// And the least that bytes can: read from a command's pipe, encrypted, decrypted, dropped.
//
// Usage: bench_bare_tls serve           prints its port, and serves until it is killed
//        bench_bare_tls PORT [COMMAND]  one command, `true` or this one, and all that it says
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/keys/proof.hpp"
#include "common/keys/sshsig.hpp"
#include "common/net/socket.hpp"
#include "common/net/tls.hpp"
#include "common/sys/fd.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

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
    while (!bytes.empty() || tls.has_unsent()) {
        const IoResult put = tls.write(bytes);
        if (put.status == IoResult::Status::EndOfFile) throw UserError("the other side has gone");
        bytes.remove_prefix(put.bytes);
        if (put.status == IoResult::Status::WouldBlock) wait_for(tls, POLLOUT);
    }
}

void run_command(std::string command, TlsTransport& tls) {
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char* const words[] = {shell, option, command.data(), nullptr};
    Pipe output = make_pipe();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output.write_end.get(), STDOUT_FILENO);
    pid_t pid = 0;
    if (::posix_spawn(&pid, shell, &actions, nullptr, words, environ) != 0) {
        throw UserError("no /bin/sh");
    }
    ::posix_spawn_file_actions_destroy(&actions);
    output.write_end.close();
    std::string buffer(std::size_t{256} * 1024, '\0');
    ssize_t got = 0;
    while ((got = ::read(output.read_end.get(), buffer.data(), buffer.size())) > 0)
        write_all_of(tls, {buffer.data(), static_cast<std::size_t>(got)});
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
        const std::string asked = read_some(tls);  // Both are short: one record.
        static const std::size_t size = proof_of(key, tls).size();
        check_proof(asked.substr(0, size), tls);
        run_command(asked.substr(size), tls);
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

void ask(const char* port, const char* command) {
    Fd socket = connect_tcp(loopback(port), EventLoop::kNever);
    const TlsContext context(TlsContext::Side::Client);
    tune_tcp(socket.get());
    TlsTransport tls(std::move(socket), context);
    shake_hands(tls, nullptr);
    check_proof(read_some(tls), tls);
    write_all_of(tls, proof_of(PrivateKey::generate_ed25519(), tls) + command);
    std::string buffer(std::size_t{256} * 1024, '\0');
    for (;;) {
        const IoResult got = tls.read(buffer.data(), buffer.size());
        if (got.status == IoResult::Status::EndOfFile) return;
        if (got.status == IoResult::Status::WouldBlock) wait_for(tls, POLLIN);
    }
}

}  // namespace

int main(int argc, char** argv) {
    frsh::log::set_program("bench_bare_tls");
    try {
        if (argc != 2 && argc != 3) throw UserError("usage: bench_bare_tls serve|PORT [COMMAND]");
        if (std::string_view(argv[1]) == "serve") serve();
        ask(argv[1], argc == 3 ? argv[2] : "true");
        return 0;
    } catch (const std::exception& error) {
        frsh::log::error(error.what());
        return 1;
    }
}
