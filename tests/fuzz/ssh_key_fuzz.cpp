// Fuzzes public keys, as blobs and as text: each accepted key has exactly one encoding.
#include "common/base/error.hpp"
#include "common/keys/ssh_key.hpp"

#include <cstdint>
#include <string>

namespace {

bool is_key(std::string_view blob) {
    try {
        static_cast<void>(frsh::PublicKey::from_blob(blob));
        return true;
    } catch (const frsh::ProtocolError&) {
        return false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        const auto key = frsh::PublicKey::from_blob(input);
        frsh::must(key.blob() == input, "one spelling");
        frsh::must(frsh::PublicKey::from_text(key.text()) == key, "one spelling");
        frsh::must(!is_key(std::string(input) + "x"), "nothing may follow");
        frsh::must(!is_key(input.substr(0, size - 1)), "nothing may be missing");
        frsh::must(key.fingerprint().size() == 7 + 43, "a fingerprint has one length");
        frsh::must(!key.type_label().empty(), "every type has a name");
    } catch (const frsh::ProtocolError&) {
    }
    try {
        const auto read = frsh::parse_key_line(input);
        frsh::must(input.starts_with(read.key.text()), "one spelling");
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
