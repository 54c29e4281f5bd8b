// Fuzzes the answers of an agent. The first byte chooses the kind of answer.
#include "client/connection/ssh_agent.hpp"
#include "common/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty()) return 0;
    const bool is_list = (input[0] & 1) == 0;
    input.remove_prefix(1);
    try {
        if (is_list) {
            bool has_seen_fido = false;
            for (const auto& identity : frsh::parse_agent_identities(input)) {
                frsh::must(identity.key.is_fido() || !has_seen_fido, "FIDO keys come last");
                has_seen_fido = identity.key.is_fido();
            }
        } else {
            static_cast<void>(frsh::parse_agent_signature(input));
        }
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
