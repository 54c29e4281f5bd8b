// Fuzzes the payloads of both proofs. The first byte chooses the kind of payload.
#include "common/base/error.hpp"
#include "common/keys/proof.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty()) return 0;
    const int kind = input[0] & 3;
    input.remove_prefix(1);
    const frsh::ProofContext context{std::string(frsh::kBindingSize, 'b'),
                                     std::string(frsh::kNonceSize, 'n')};
    try {
        if (kind == 0) {
            const auto proof = frsh::parse_host_proof(input);
            frsh::must(frsh::encode(proof) == input, "one spelling");
            static_cast<void>(frsh::is_proven(proof, context));
        } else if (kind == 1) {
            const auto proof = frsh::parse_user_proof(input);
            frsh::must(frsh::encode(proof) == input, "one spelling");
            static_cast<void>(frsh::is_proven(proof, context, proof.key));
        } else {
            frsh::must(frsh::encode(frsh::parse_user_probe(input)) == input, "one spelling");
        }
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
