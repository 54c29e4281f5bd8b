// TLS 1.3 over a connected socket: secrecy and integrity, but no authentication.
//
// The certificate is anonymous, and the client does not check it. Authentication follows: both
// sides sign exporter() (proof.hpp), which has the same value at both ends only if no third party
// relays the connection. There is one protocol version, no resumption and no early data from the
// client, so an attacker has little to negotiate down.
//
// The order of the steps. The server sends its proof first, so that the proof costs no round trip:
//
//     client                                   server
//     handshake() … WantsRead
//       ClientHello                    ──▶     handshake() … Greet       exporter() is final here
//                                              greet(hello, host proof)
//     handshake() … Done               ◀──       ServerHello … Finished, greeting   (one write)
//       Finished                       ──▶     handshake() … Done
//     read() gives the greeting
#pragma once

#include "common/keys/crypto.hpp"
#include "common/net/transport.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct ssl_ctx_st;  // SSL_CTX.

namespace frsh {

// The protocol's name in TLS (ALPN, RFC 7301). A peer that does not offer it is refused.
inline constexpr std::string_view kAlpn = "frsh/1";

// Returns the key exchange groups to ask OpenSSL for, the best one first. If OpenSSL rejects a list
// (it has no X25519MLKEM768 before 3.5), the next one is tried.
[[nodiscard]] constexpr std::array<const char*, 2> key_exchange_lists() {
    return {"X25519MLKEM768:X25519", "X25519"};
}
// Returns the first list that `accepts` accepts; null if it accepts none.
template <typename Accepts>
[[nodiscard]] const char* choose_key_exchange(const Accepts& accepts) {
    for (const char* const list : key_exchange_lists()) {
        if (accepts(list)) return list;
    }
    return nullptr;
}

// The settings that all connections of one side share. The server's context holds an ed25519 key
// and certificate, made in memory. Make the context before fork(2): the children then share it.
class TlsContext {
  public:
    enum class Side { Client, Server };
    explicit TlsContext(Side side);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    [[nodiscard]] Side side() const { return side_; }
    [[nodiscard]] ssl_ctx_st* handle() const { return context_; }  // Lent.

    // Makes one handshake with a client inside this process. OpenSSL looks up and allocates most of
    // what it needs on first use, so a listener calls this before it forks. An idle child may call
    // it again, so that the page faults of its first handshake happen before a client waits.
    void warm_up() const;

  private:
    Side side_;
    ssl_ctx_st* context_ = nullptr;
};

// What a handshake agreed on.
struct TlsParameters {
    std::string group;   // "X25519"
    std::string cipher;  // "TLS_AES_128_GCM_SHA256"
    bool operator==(const TlsParameters&) const = default;
};

class TlsTransport : public Transport {
  public:
    // Takes a connected stream socket and makes it non-blocking. The context must outlive this.
    TlsTransport(Fd socket, const TlsContext& context);
    // Starts without a socket. Call attach() with a non-blocking one before any other function.
    explicit TlsTransport(const TlsContext& context);
    void attach(Fd socket);
    ~TlsTransport() override;

    enum class Handshake {
        WantsRead,   // Poll for POLLIN, and call again.
        WantsWrite,  // Poll for POLLOUT, and call again.
        Greet,       // Server only, once: call greet(), then call again.
        Refused,     // Client only: the server is too busy for a handshake and answered without
                     // encryption (first byte 0). read() returns that answer, which proves nothing.
        Done,
    };
    // Goes on with the handshake until it would block. Throws TlsError; its text names what the
    // user reached instead (an SSH server, a web server, TLS without frsh).
    [[nodiscard]] Handshake handshake();

    // Sends bytes together with the server's Finished. Any client can read them: it has not proved
    // anything yet. At most 16 KiB.
    void greet(std::string_view bytes);

    // Returns the channel binding (RFC 9266), 32 bytes. A server may call it from Greet on, a
    // client from Done on.
    [[nodiscard]] std::string exporter() const;
    // May be called from the same points on as exporter().
    [[nodiscard]] TlsParameters parameters() const;
    [[nodiscard]] std::string description() const;  // "TLSv1.3 TLS_AES_128_GCM_SHA256", for logs.

    // EndOfFile also covers a peer that vanished: the layer above checks whether all messages came.
    // closed_cleanly() tells the two apart, for the log.
    IoResult read(char* buffer, std::size_t size) override;
    // Buffers up to 64 KiB beyond what the kernel takes, so that one write(2) sends many records.
    IoResult write(std::string_view bytes) override;
    void finish_writing() override;
    [[nodiscard]] int read_fd() const override;
    [[nodiscard]] int write_fd() const override;
    [[nodiscard]] bool has_buffered() const override;
    [[nodiscard]] bool has_unsent() const override;
    [[nodiscard]] std::size_t unsent_size() const;
    [[nodiscard]] bool closed_cleanly() const;

    // Sends close_notify and blocks until the peer has closed, too, at most for `timeout`. Drops
    // what still arrives: close(2) with unread bytes would send a reset, and a reset destroys what
    // the peer has not read yet. Never throws.
    void close_and_wait(std::chrono::milliseconds timeout);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace frsh
