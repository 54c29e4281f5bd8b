// What frsh uses of OpenSSL outside TLS: digests, random bytes, owned keys.
//
// This header includes none of OpenSSL's; it only declares their types.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct evp_pkey_st;  // EVP_PKEY.

namespace frsh {

// An operation of OpenSSL failed: "attempt: reason", one printable line.
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Initialises OpenSSL without configuration file, error strings and exit handlers, which saves one
// to two milliseconds. All functions here call it first. Another call costs nothing.
void initialise_openssl();

[[nodiscard]] std::string sha1_hmac(std::string_view key, std::string_view bytes);
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string sha512(std::string_view bytes);
[[nodiscard]] std::string random_bytes(std::size_t size);

// Overwrites a secret; the compiler cannot remove this (OPENSSL_cleanse(3)).
void wipe(std::string& secret);

// Wipes a secret when the scope ends, also by an exception.
class WipeAtExit {
  public:
    explicit WipeAtExit(std::string& secret) : secret_(secret) {}
    ~WipeAtExit() { wipe(secret_); }
    WipeAtExit(const WipeAtExit&) = delete;
    WipeAtExit& operator=(const WipeAtExit&) = delete;

  private:
    std::string& secret_;
};

struct KeyDeleter {
    void operator()(evp_pkey_st* key) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, KeyDeleter>;

// Throws TlsError with OpenSSL's last error, and clears the error queue.
[[noreturn]] void throw_openssl(std::string_view attempt);

}  // namespace frsh
