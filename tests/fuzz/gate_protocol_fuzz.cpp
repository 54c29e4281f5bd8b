// Fuzzes the packets that a monitor parses: a gate under an attacker's control can send any bytes.
#include "common/base/error.hpp"
#include "common/keys/proof.hpp"
#include "server/login/gate_protocol.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace frsh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view packet(reinterpret_cast<const char*>(data), size);
    try {
        const ToMonitor message = parse_to_monitor(packet);
        must(encode(message) == packet, "a packet has one spelling");
        if (message.kind == ToMonitor::Kind::Binding) {
            must(encode(to_message(parse_binding(message))) == packet, "one spelling");
        } else if (message.kind == ToMonitor::Kind::Probe) {
            must(encode(parse_user_probe(message.payload)) == message.payload, "one spelling");
        } else if (message.kind == ToMonitor::Kind::Auth) {
            must(encode(parse_user_proof(message.payload)) == message.payload, "one spelling");
        }
    } catch (const ProtocolError&) {
        return 0;
    }
    return 0;
}
