// Private key files: garbage is refused, and what is read belongs together.
#include "common/base/error.hpp"
#include "common/net/key_file.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        const auto file = frsh::parse_key_file(input);
        if (file.key) {
            frsh::must(file.public_key && file.key->public_key() == *file.public_key,
                       "two halves of one key");
        }
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
