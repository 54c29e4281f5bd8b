// The few things frsh asks of OpenSSL outside TLS: digests, random bytes, keys that free
// themselves.
//
// OpenSSL's headers stay in the .cpp files; its types appear here by their forward names only.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct evp_pkey_st;  // EVP_PKEY.

namespace frsh {

// OpenSSL refused an operation: "attempt: reason", one printable line.
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The first call into OpenSSL, made by everything here before its own: without configuration file,
// error strings and exit handlers it takes a millisecond or two less. Calling it again is free.
void initialise_openssl();

[[nodiscard]] std::string sha1_hmac(std::string_view key, std::string_view bytes);
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string sha512(std::string_view bytes);
[[nodiscard]] std::string random_bytes(std::size_t size);

// Overwrite a secret in a way that the compiler may not leave out.
void wipe(std::string& secret);

// Wipes a secret when the scope ends, however it ends.
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

// Throws TlsError with OpenSSL's latest reason, and empties its queue of them.
[[noreturn]] void throw_openssl(std::string_view attempt);

}  // namespace frsh
