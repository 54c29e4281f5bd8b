#include "common/net/tls_wire.hpp"

#include "common/base/error.hpp"

#include <cerrno>

#include <openssl/bio.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most unsent bytes. Only a peer that keeps requesting key updates, and does not read the
// answers, reaches this limit.
constexpr std::size_t kFlood = std::size_t{256} * 1024;

// TLS begins with a handshake record, or with an alert if the peer rejects the ClientHello.
bool begins_tls(char byte) {
    return byte == 0x16 || byte == 0x15;
}

// No exception may pass through OpenSSL's functions, so errors are stored in the TlsWire.
int wire_read(BIO* bio, char* buffer, int size) {
    TlsWire& wire = *static_cast<TlsWire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (wire.is_foreign) return -1;
    ssize_t got = 0;
    do {
        got = ::read(wire.fd, buffer, static_cast<std::size_t>(size));
    } while (got == -1 && errno == EINTR);
    if (got == -1 && errno == EAGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (got == 0 || (got == -1 && errno == ECONNRESET)) {
        wire.at_end = true;
        return 0;
    }
    if (got == -1) {
        wire.error = errno;
        return -1;
    }
    if (!wire.has_begun) {
        wire.has_begun = true;
        if (!begins_tls(buffer[0])) {
            wire.is_foreign = true;
            wire.plain.assign(buffer, static_cast<std::size_t>(got));
            return -1;
        }
    }
    return static_cast<int>(got);
}

int wire_write(BIO* bio, const char* bytes, int size) {
    TlsWire& wire = *static_cast<TlsWire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (wire.out.size() > kFlood) return -1;
    wire.out.append(bytes, static_cast<std::size_t>(size));
    return size;
}

long wire_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;  // The transport decides when to write.
    if (command == BIO_CTRL_EOF) return static_cast<TlsWire*>(BIO_get_data(bio))->at_end ? 1 : 0;
    return 0;
}

BIO_METHOD* wire_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "frsh wire");
        must(made != nullptr && BIO_meth_set_read(made, wire_read) == 1 &&
                 BIO_meth_set_write(made, wire_write) == 1 &&
                 BIO_meth_set_ctrl(made, wire_control) == 1,
             "OpenSSL gives us a BIO");
        return made;
    }();
    return method;
}

}  // namespace

BIO* make_wire_bio(TlsWire& wire) {
    BIO* const bio = BIO_new(wire_method());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    return bio;
}

}  // namespace frsh
