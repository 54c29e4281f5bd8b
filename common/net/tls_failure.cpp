#include "common/net/tls_failure.hpp"

#include <openssl/ssl.h>

namespace frsh {

std::string describe_failure(int reason) {
    switch (reason) {
        case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        case SSL_R_NO_APPLICATION_PROTOCOL:
        case SSL_R_CALLBACK_FAILED:
            return "the peer speaks TLS, but not frsh/1";
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_WRONG_SSL_VERSION:
            return "the peer does not speak TLS 1.3";
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        case SSL_R_TLSV13_ALERT_MISSING_EXTENSION:
        case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            return "the peer speaks TLS, but not as frsh does";
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return "the peer closed the connection";
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC:
            return "bytes were changed on the way";
        default:
            return "";
    }
}

}  // namespace frsh
