// Fuzzes known_hosts. The first line is the host to look up, the rest is the file.
#include "client/connection/known_hosts.hpp"
#include "common/base/error.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view host = input.substr(0, end);
    for (const frsh::KnownHost& known : frsh::parse_known_hosts(input.substr(end))) {
        const bool is_match = known.is_for(host);
        if (known.hosts.starts_with('|')) continue;
        frsh::must(is_match == known.is_for(frsh::to_lower(host)), "case says nothing");
    }
    static_cast<void>(frsh::match_address_list(host, input.substr(end)));
    static_cast<void>(frsh::find_fault_in_address_list(input.substr(end)));
    return 0;
}
