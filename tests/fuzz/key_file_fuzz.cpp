// Fuzzes private key files: a malformed file is refused, and both halves of a key belong together.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/key_file.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string input(reinterpret_cast<const char*>(data), size);
    // Base64 hides the structure from the fuzzer: what is not text already is wrapped here.
    if (!input.starts_with("-----BEGIN ")) {
        input = frsh::base64_encode(input);
        input.insert(0, "-----BEGIN OPENSSH PRIVATE KEY-----\n")
            .append("\n-----END OPENSSH PRIVATE KEY-----\n");
    }
    try {
        const auto file = frsh::parse_key_file(input);
        if (file.key) {
            frsh::must(file.public_key && file.key->public_key() == *file.public_key,
                       "two halves of one key");
            // For other types a mismatch is found at the first signature.
            if (file.public_key->type() == frsh::KeyType::Ed25519) {
                frsh::must(file.public_key->verify("message", file.key->sign("message")),
                           "two halves of one key");
            }
        }
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
