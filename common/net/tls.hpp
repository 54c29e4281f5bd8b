// TLS 1.3 over a connected socket: privacy and integrity, and nothing about who the peer is.
//
// The certificate is anonymous and nobody checks it: whom we talk to is proved afterwards, by
// signatures over exporter() (proof.hpp), which is the same at both ends only if nobody sits in
// between. There is one protocol version, one key exchange, no resumption and no early data from
// the client, so there is little that could be negotiated down.
//
// The order of things, where the server speaks first so that its proof costs no round trip:
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

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct ssl_ctx_st;  // SSL_CTX.

namespace frsh {

// The protocol's name in TLS (ALPN, RFC 7301); who does not offer it is refused.
inline constexpr std::string_view kAlpn = "frsh/1";

// What all connections of one side share. A server's holds an ed25519 key and certificate made in
// memory, so make it before fork(2) and let the children share it.
class TlsContext {
  public:
    enum class Side { Client, Server };
    explicit TlsContext(Side side);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    [[nodiscard]] Side side() const { return side_; }
    [[nodiscard]] ssl_ctx_st* handle() const { return context_; }  // Lent.

    // One handshake of a server's context with a client of our own, in memory. OpenSSL looks up
    // and allocates most of what it needs on first use; a listener does that once, for its
    // children. And a process has each page of code and of memory shown to it on first use: a
    // child that has nothing to do yet may do it again.
    void warm_up() const;

  private:
    Side side_;
    ssl_ctx_st* context_ = nullptr;
};

class TlsTransport : public Transport {
  public:
    // Takes a connected stream socket and makes it non-blocking. The context must outlive this.
    TlsTransport(Fd socket, const TlsContext& context);
    // The same without a socket: attach() one, non-blocking already, before anything else.
    explicit TlsTransport(const TlsContext& context);
    void attach(Fd socket);
    ~TlsTransport() override;

    enum class Handshake {
        WantsRead,   // Poll for POLLIN, and call again.
        WantsWrite,  // Poll for POLLOUT, and call again.
        Greet,       // Server only, once: call greet(), then go on.
        Refused,     // Client only: the server answered in plain text (first byte 0), which it does
                     // when it is too busy for a handshake. read() gives what it said, unproven.
        Done,
    };
    // As much of the handshake as goes without waiting. Throws TlsError, in words that tell a
    // person what they reached instead (an SSH server, a web server, TLS without frsh).
    [[nodiscard]] Handshake handshake();

    // Goes out together with the server's Finished, readable by whoever sent the ClientHello: the
    // client has proved nothing yet. At most 16 KiB.
    void greet(std::string_view bytes);

    // The channel binding (RFC 9266), 32 bytes: from Greet on for a server, from Done on for a
    // client.
    [[nodiscard]] std::string exporter() const;
    [[nodiscard]] std::string description() const;  // "TLSv1.3 TLS_AES_128_GCM_SHA256", for logs.

    // EndOfFile covers a peer that vanished, too: whether all was said is for a layer above to
    // know, and closed_cleanly() tells the two apart for the log.
    IoResult read(char* buffer, std::size_t size) override;
    // Takes up to 64 KiB more than the kernel does, so that many records leave in one write(2).
    IoResult write(std::string_view bytes) override;
    void finish_writing() override;
    [[nodiscard]] int read_fd() const override;
    [[nodiscard]] int write_fd() const override;
    [[nodiscard]] bool has_buffered() const override;
    [[nodiscard]] bool has_unsent() const override;
    [[nodiscard]] std::size_t unsent_size() const;
    [[nodiscard]] bool closed_cleanly() const;

    // Says goodbye and waits until the peer has closed as well, but no longer than `patience`; what
    // still comes is dropped. close(2) with unread bytes would send a reset, which destroys what
    // the peer has not read yet. Blocks; never throws.
    void close_and_wait(std::chrono::milliseconds patience);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace frsh
