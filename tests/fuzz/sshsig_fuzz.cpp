// Fuzzes armored signatures: an accepted one can be armored again and stays equal.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/sshsig.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string input(reinterpret_cast<const char*>(data), size);
    // Base64 hides the structure from the fuzzer: what is not text already is wrapped here.
    if (!input.starts_with("-----BEGIN ")) {
        input = frsh::base64_encode(input);
        input.insert(0, "-----BEGIN SSH SIGNATURE-----\n")
            .append("\n-----END SSH SIGNATURE-----\n");
    }
    try {
        const auto read = frsh::dearmor(input);
        const auto again = frsh::dearmor(frsh::armor(read));
        frsh::must(again.key == read.key && again.name_space == read.name_space &&
                       again.signature == read.signature,
                   "there and back");
        static_cast<void>(
            frsh::verify_sshsig(read.key, read.name_space, "message", read.signature));
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
