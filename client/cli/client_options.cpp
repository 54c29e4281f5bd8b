#include "client/cli/client_options.hpp"

#include "common/base/text.hpp"

#include <cstddef>

namespace frsh {
namespace {

constexpr std::uint64_t kFurthest = (1ULL << 53) - 1;  // The largest number of the protocol.

}  // namespace

// A network can fail. On one machine, a connection ends only if one of the programs ends it.
OnDisconnect on_disconnect_of(const ClientOptions& options) {
    if (options.settings.on_disconnect) return *options.settings.on_disconnect;
    const bool is_network = !options.settings.via && !options.plaintext && is_host(options.target);
    if (!is_network) return {};
    return {OnDisconnect::Kind::Grace, kDefaultGracePeriod};
}

bool is_request(const ClientOptions& options, KeptRequest::Kind kind) {
    return options.request && options.request->kind == kind;
}

bool is_kept(const ClientOptions& options) {
    const auto& wish = options.settings.on_disconnect;
    return options.detach || options.soft_timeout || !options.run_id.empty() ||
           (wish && wish->kind == OnDisconnect::Kind::Keep);
}

std::optional<KeptFrom> parse_from(std::string_view text) {
    const auto parts = split(text, ',');
    if (parts.size() > 2) return std::nullopt;
    KeptFrom from;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto& offset = i == 0 ? from.out : from.err;
        if (parts[i] == "end") {
            offset.reset();
        } else {
            offset = parse_number(parts[i], 0, kFurthest);
            if (!offset) return std::nullopt;
        }
    }
    if (text == "end") from.err.reset();
    return from;
}

}  // namespace frsh
