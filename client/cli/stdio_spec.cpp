#include "client/cli/stdio_spec.hpp"

#include "client/cli/forward_spec.hpp"
#include "common/base/text.hpp"

#include <utility>

namespace frsh {

std::variant<std::vector<std::string>, std::string> parse_stdio_forward(std::string_view text) {
    // The destination is the one of a local forwarding, of which only the port is missing.
    auto parsed = parse_forward(ForwardSpec::Kind::Local, "0:" + std::string(text));
    auto* const spec = std::get_if<ForwardSpec>(&parsed);
    if (spec != nullptr && !spec->bind && spec->path.empty()) return std::move(spec->to);
    return "Bad stdio forwarding specification '" + escape_controls(text) +
           "': is not HOST:PORT and no absolute path";
}

std::optional<std::vector<std::string>> stdio_destination(
    const std::vector<std::string>& forwards) {
    for (const std::string& forward : forwards) {
        if (!is_stdio_forward(forward)) continue;
        const auto parsed = parse_stdio_forward(std::string_view(forward).substr(2));
        if (const auto* const to = std::get_if<std::vector<std::string>>(&parsed)) return *to;
    }
    return std::nullopt;
}

}  // namespace frsh
