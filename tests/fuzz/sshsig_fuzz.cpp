// Armored signatures: what is accepted can be armored again, and stays what it is.
#include "common/base/error.hpp"
#include "common/net/sshsig.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
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
