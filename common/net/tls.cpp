#include "common/net/tls.hpp"

#include "common/base/error.hpp"
#include "common/keys/crypto.hpp"
#include "common/net/foreign_peer.hpp"
#include "common/net/tls_failure.hpp"
#include "common/net/tls_wire.hpp"

#include <cerrno>
#include <cstdio>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxUnsent = std::size_t{64} * 1024;
constexpr std::size_t kMaxGreeting = std::size_t{16} * 1024;

}  // namespace

struct TlsTransport::State {
    // A server: Hello → Greeting → Finishing → Open, or if the first ClientHello has no key
    // share that this side takes, Hello → SecondHello → Greeting. A client: Finishing → Open or
    // Plain.
    enum class Stage { Hello, SecondHello, Greeting, Finishing, Open, Plain };

    State(TlsContext::Side side, SSL_CTX* context) : is_client(side == TlsContext::Side::Client) {
        stage = is_client ? Stage::Finishing : Stage::Hello;
        ssl = SSL_new(context);
        BIO* const bio = make_wire_bio(wire);
        if (ssl == nullptr || bio == nullptr) {
            SSL_free(ssl);
            BIO_free(bio);
            throw_openssl("TLS");
        }
        SSL_set_bio(ssl, bio, bio);  // Owned by `ssl` from here on.
        if (is_client) {
            SSL_set_connect_state(ssl);
        } else {
            SSL_set_accept_state(ssl);
        }
    }
    ~State() { SSL_free(ssl); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    // Writes what the kernel takes. Returns false if the peer takes no more bytes.
    bool flush() {
        while (!wire.out.empty()) {
            const IoResult put = write_some(wire.fd, wire.out);
            if (put.status == IoResult::Status::WouldBlock) return true;
            if (put.status == IoResult::Status::EndOfFile) {
                is_gone = true;
                wire.out.clear();
                return false;
            }
            wire.out.erase(0, put.bytes);
        }
        return !is_gone;
    }

    // Flushes first: an alert that explains the failure to the peer may still be unsent.
    [[noreturn]] void fail_handshake() {
        const unsigned long code = ERR_peek_last_error();
        ERR_clear_error();
        flush();
        if (wire.is_foreign) {
            throw TlsError("TLS: " + describe_foreign(wire.plain, is_client ? "server" : "client"));
        }
        if (wire.error != 0) throw SysError("TLS: read", wire.error);
        if (wire.at_end) {
            throw TlsError(wire.has_begun ? "TLS: the peer closed the connection half-way"
                                          : "TLS: the peer closed the connection without a word");
        }
        const std::string words =
            ERR_GET_LIB(code) == ERR_LIB_SSL ? describe_failure(ERR_GET_REASON(code)) : "";
        if (words.empty()) {
            char number[32];
            std::snprintf(number, sizeof number, "OpenSSL error %08lX", code);
            throw TlsError("TLS: the handshake failed (" + std::string(number) +
                           "); probably another program, a proxy or another version of frshd "
                           "answers there");
        }
        throw TlsError("TLS: " + words);
    }

    // Returns what an incomplete handshake step waits for, or throws its failure.
    Handshake wait_or_fail(int result) {
        const int error = SSL_get_error(ssl, result);
        if (wire.is_foreign && is_client && wire.plain[0] == 0) {
            ERR_clear_error();
            stage = Stage::Plain;
            return Handshake::Refused;
        }
        if (error != SSL_ERROR_WANT_READ) fail_handshake();
        flush();
        return !wire.out.empty() ? Handshake::WantsWrite : Handshake::WantsRead;
    }

    void require_alpn() const {
        const unsigned char* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl, &name, &size);
        if (size == 0 || std::string_view(reinterpret_cast<const char*>(name), size) != kAlpn) {
            throw TlsError("TLS: the peer speaks TLS, but not frsh/1");
        }
    }

    // The first half of the server's handshake. SSL_read_early_data(3) makes OpenSSL stop as soon
    // as the server may send, instead of waiting for the client. There is no early data to read.
    Handshake take_client_hello() {
        char nothing[1];
        std::size_t size = 0;
        ERR_clear_error();
        const int result = SSL_read_early_data(ssl, nothing, sizeof nothing, &size);
        if (result == SSL_READ_EARLY_DATA_ERROR) return wait_or_fail(0);
        if (result != SSL_READ_EARLY_DATA_FINISH) throw TlsError("TLS: early data from a client");
        if (has_exporter()) return begin_greeting();
        // OpenSSL has written a HelloRetryRequest (RFC 8446, section 4.1.4): the client offers
        // X25519MLKEM768 first, for example, and this side does not have it.
        stage = Stage::SecondHello;
        return take_second_client_hello();
    }

    // OpenSSL goes on until it waits for the client's Finished. The server may send by then.
    Handshake take_second_client_hello() {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl);
        if (result != 1 && !has_exporter()) return wait_or_fail(result);
        must(result != 1, "a client cannot finish before the server's flight");
        const bool is_waiting = SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
        if (!is_waiting) fail_handshake();
        return begin_greeting();
    }

    Handshake begin_greeting() {
        require_alpn();
        stage = Stage::Greeting;
        return Handshake::Greet;
    }

    // Returns true once the keys of this handshake are known.
    [[nodiscard]] bool has_exporter() const {
        unsigned char value[1];
        const bool is_there =
            SSL_export_keying_material(ssl, value, sizeof value, "x", 1, nullptr, 0, 0) == 1;
        if (!is_there) ERR_clear_error();
        return is_there;
    }

    IoResult read_plain(char* buffer, std::size_t size) {
        if (wire.plain.empty()) return read_some(wire.fd, buffer, size);
        const std::size_t taken = wire.plain.copy(buffer, size);
        wire.plain.erase(0, taken);
        return {IoResult::Status::Done, taken};
    }

    // Returns or throws what a failed SSL_read_ex(3) means.
    IoResult judge_read(int result) {
        const int error = SSL_get_error(ssl, result);
        const unsigned long code = ERR_peek_last_error();
        ERR_clear_error();
        if (error == SSL_ERROR_WANT_READ) {
            is_drained = true;
            return {IoResult::Status::WouldBlock};
        }
        is_drained = true;
        if (error == SSL_ERROR_ZERO_RETURN) {
            is_clean_end = true;
            return {IoResult::Status::EndOfFile};
        }
        if (wire.at_end) return {IoResult::Status::EndOfFile};
        if (wire.error != 0) throw SysError("TLS: read", wire.error);
        std::string words =
            ERR_GET_LIB(code) == ERR_LIB_SSL ? describe_failure(ERR_GET_REASON(code)) : "";
        if (words.empty()) words = "the connection broke";
        throw TlsError("TLS: " + words);
    }

    Fd socket;
    bool is_client = false;
    TlsWire wire;
    SSL* ssl = nullptr;
    Stage stage = Stage::Hello;
    bool is_drained = false;    // OpenSSL holds less than a record: wait for the socket.
    bool owes_end = false;      // The next read() returns an end or throws a failure.
    bool is_gone = false;       // The peer takes no more bytes.
    bool is_finished = false;   // This side sent close_notify.
    bool is_clean_end = false;  // The peer sent close_notify.
};

TlsTransport::TlsTransport(const TlsContext& context)
    : state_(std::make_unique<State>(context.side(), context.handle())) {}

TlsTransport::TlsTransport(Fd socket, const TlsContext& context) : TlsTransport(context) {
    set_nonblocking(socket.get());
    attach(std::move(socket));
}

void TlsTransport::attach(Fd socket) {
    must(!state_->socket.is_open(), "a transport has one socket");
    state_->wire.fd = socket.get();
    state_->socket = std::move(socket);
}

TlsTransport::~TlsTransport() = default;

TlsTransport::Handshake TlsTransport::handshake() {
    State& state = *state_;
    switch (state.stage) {
        case State::Stage::Hello:
            return state.take_client_hello();
        case State::Stage::SecondHello:
            return state.take_second_client_hello();
        case State::Stage::Greeting:
            return Handshake::Greet;
        case State::Stage::Open:
            return Handshake::Done;
        case State::Stage::Plain:
            return Handshake::Refused;
        case State::Stage::Finishing:
            break;
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(state.ssl);
    if (result != 1) return state.wait_or_fail(result);
    state.require_alpn();
    state.flush();
    state.stage = State::Stage::Open;
    return Handshake::Done;
}

void TlsTransport::greet(std::string_view bytes) {
    State& state = *state_;
    must(state.stage == State::Stage::Greeting, "a server greets once");
    must(!bytes.empty() && bytes.size() <= kMaxGreeting, "a greeting is one record");
    std::size_t written = 0;
    ERR_clear_error();
    if (SSL_write_early_data(state.ssl, bytes.data(), bytes.size(), &written) != 1 ||
        written != bytes.size()) {
        throw_openssl("TLS: greet");
    }
    state.stage = State::Stage::Finishing;
    state.flush();
}

std::string TlsTransport::exporter() const {
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    must(state_->stage == State::Stage::Greeting || state_->stage == State::Stage::Open ||
             (state_->stage == State::Stage::Finishing && !state_->is_client),
         "a channel binding needs a channel");
    unsigned char value[32];
    // Pass no context value. In TLS 1.3 this equals an empty one (RFC 8446, section 7.5).
    if (SSL_export_keying_material(state_->ssl, value, sizeof value, kLabel.data(), kLabel.size(),
                                   nullptr, 0, 0) != 1) {
        throw_openssl("TLS: exporter");
    }
    return {reinterpret_cast<const char*>(value), sizeof value};
}

TlsParameters TlsTransport::parameters() const {
    SSL* const ssl = state_->ssl;
    // A known group has an id of OpenSSL; another one has its number in TLS, with a flag.
    const auto id = static_cast<int>(SSL_get_negotiated_group(ssl));
    const char* const group =
        (id & TLSEXT_nid_unknown) == 0 ? OBJ_nid2sn(id) : SSL_group_to_name(ssl, id);
    return {group != nullptr ? group : "unknown", SSL_get_cipher_name(ssl)};
}

std::string TlsTransport::description() const {
    return std::string(SSL_get_version(state_->ssl)) + " " + SSL_get_cipher_name(state_->ssl);
}

IoResult TlsTransport::read(char* buffer, std::size_t size) {
    State& state = *state_;
    if (state.stage == State::Stage::Plain) return state.read_plain(buffer, size);
    must(state.stage == State::Stage::Open, "the handshake comes first");
    std::size_t total = 0;
    state.is_drained = false;
    state.owes_end = false;
    while (total < size) {
        std::size_t got = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(state.ssl, buffer + total, size - total, &got);
        if (result != 1) {
            // First return what was read; the next call reports the failure.
            if (total != 0 && SSL_get_error(state.ssl, result) != SSL_ERROR_WANT_READ) {
                state.owes_end = true;
                break;
            }
            const IoResult judged = state.judge_read(result);
            if (total == 0) {
                state.flush();  // The answer to a key update may be unsent.
                return judged;
            }
            break;
        }
        total += got;
        // If OpenSSL holds nothing, another call would only read(2) again; the caller polls
        // instead.
        if (SSL_has_pending(state.ssl) == 0) break;
    }
    if (!state.wire.out.empty()) state.flush();
    return {IoResult::Status::Done, total};
}

IoResult TlsTransport::write(std::string_view bytes) {
    State& state = *state_;
    must(state.stage == State::Stage::Open, "the handshake comes first");
    if (!state.flush()) return {IoResult::Status::EndOfFile};
    if (bytes.empty()) return {IoResult::Status::Done, 0};
    must(!state.is_finished, "nothing may follow close_notify");
    if (state.wire.out.size() >= kMaxUnsent) return {IoResult::Status::WouldBlock};
    bytes = bytes.substr(0, kMaxUnsent - state.wire.out.size());
    std::size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(state.ssl, bytes.data(), bytes.size(), &written) != 1) {
        throw_openssl("TLS: write");
    }
    if (!state.flush()) return {IoResult::Status::EndOfFile};
    return {IoResult::Status::Done, written};
}

void TlsTransport::finish_writing() {
    State& state = *state_;
    if (state.is_finished) return;
    state.is_finished = true;
    try {
        if (state.stage == State::Stage::Open) {
            ERR_clear_error();
            SSL_shutdown(state.ssl);  // Appends close_notify to the unsent bytes; reading goes on.
            ERR_clear_error();
            state.flush();
        } else {
            ::shutdown(state.socket.get(), SHUT_WR);
        }
    } catch (const SysError&) {
        state.is_gone = true;  // The next read() reports the error.
    }
}

int TlsTransport::read_fd() const {
    return state_->socket.get();
}
int TlsTransport::write_fd() const {
    return state_->socket.get();
}

bool TlsTransport::has_buffered() const {
    if (state_->stage == State::Stage::Plain) return !state_->wire.plain.empty();
    if (state_->stage != State::Stage::Open) return false;
    // SSL_has_pending(3) also counts an incomplete record. Without is_drained, a loop would spin.
    return state_->owes_end || (!state_->is_drained && SSL_has_pending(state_->ssl) == 1);
}

bool TlsTransport::has_unsent() const {
    return !state_->wire.out.empty();
}
std::size_t TlsTransport::unsent_size() const {
    return state_->wire.out.size();
}
bool TlsTransport::closed_cleanly() const {
    return state_->is_clean_end;
}

void TlsTransport::close_and_wait(std::chrono::milliseconds timeout) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + timeout;
    finish_writing();
    try {
        char dropped[4096];
        for (;;) {
            state_->flush();
            IoResult got;
            do {
                // Before the handshake has ended, only the socket itself can be read.
                got = state_->stage == State::Stage::Open
                          ? read(dropped, sizeof dropped)
                          : read_some(state_->socket.get(), dropped, sizeof dropped);
            } while (got.status == IoResult::Status::Done && Clock::now() < deadline);
            if (got.status == IoResult::Status::EndOfFile) return;
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            if (left <= 0) return;
            const short events = static_cast<short>(POLLIN | (has_unsent() ? POLLOUT : 0));
            pollfd waiting{state_->socket.get(), events, 0};
            if (::poll(&waiting, 1, static_cast<int>(left)) == -1 && errno != EINTR) return;
        }
    } catch (const SysError&) {
        return;  // A broken connection needs no close.
    } catch (const TlsError&) {
        return;
    }
}

}  // namespace frsh
