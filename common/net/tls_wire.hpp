// The BIO through which OpenSSL uses the socket. Only the TLS files include this header.
//
// Reads go straight to the kernel. Writes gather in `out`, and the transport sends them with one
// write(2). The BIO checks the peer's first byte: if the peer does not speak TLS, the error message
// can name what it speaks.
#pragma once

#include <cstddef>
#include <string>

struct bio_st;  // BIO.

namespace frsh {

struct TlsWire {
    int fd = -1;

    std::string out;  // Not yet taken by the kernel.

    bool has_begun = false;   // The peer's first bytes have arrived.
    bool is_foreign = false;  // The first bytes were not TLS; `plain` holds them.
    std::string plain;
    bool at_end = false;
    int error = 0;
};

// Makes a BIO over `wire`, which must outlive it. Returns null if memory is exhausted.
[[nodiscard]] bio_st* make_wire_bio(TlsWire& wire);

}  // namespace frsh
