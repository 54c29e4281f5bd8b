// The socket as OpenSSL sees it; only the TLS files include this.
//
// Reads go straight to the kernel, writes gather in `out` until the transport sends them with one
// write(2). And it looks at the peer's very first byte, since what answers on a port is not always
// TLS, and a person deserves to hear what it is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

struct bio_st;  // BIO.

namespace frsh {

struct TlsWire {
    int fd = -1;

    std::string out;  // What the kernel has not taken yet.

    bool has_begun = false;   // The peer's first bytes have been seen and judged.
    bool is_foreign = false;  // They were not TLS.
    std::string plain;        // What came instead, if so.
    bool at_end = false;
    int error = 0;
};

// A BIO over `wire`, which must outlive it. Null when OpenSSL has no memory for one.
[[nodiscard]] bio_st* make_wire_bio(TlsWire& wire);

// What stands where TLS should begin, for a person who may have the port wrong. `who` is "server"
// or "client".
[[nodiscard]] std::string describe_foreign(std::string_view first, const std::string& who);

}  // namespace frsh
