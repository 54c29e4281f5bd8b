// Fuzzes the reader of SSH's binary encoding: the writer encodes each accepted value the same way.
#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty()) return 0;
    // Each byte of the first half asks for one value of the second.
    const std::string_view script = input.substr(0, size / 2);
    const std::string_view bytes = input.substr(size / 2);
    frsh::WireReader reader(bytes, "fuzz");
    frsh::WireWriter writer;
    try {
        for (const char step : script) {
            switch (step & 3) {
                case 0:
                    writer.u8(reader.u8());
                    break;
                case 1:
                    writer.u32(reader.u32());
                    break;
                case 2:
                    writer.string(reader.string());
                    break;
                default:
                    writer.mpint(reader.positive_mpint(64));
                    break;
            }
        }
        reader.finish();
        frsh::must(writer.bytes() == bytes, "one spelling");
    } catch (const frsh::ProtocolError&) {
        frsh::must(bytes.starts_with(writer.bytes()), "one spelling");
    }
    return 0;
}
