// The texts of forwardings, and the bytes of a SOCKS client.
#include "client/cli/forward_spec.hpp"
#include "client/cli/stdio_spec.hpp"
#include "client/forward/socks.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using frsh::ForwardSpec;
using frsh::SocksRequest;

void parse(ForwardSpec::Kind kind, std::string_view text) {
    const auto parsed = frsh::parse_forward(kind, text);
    if (const auto* const spec = std::get_if<ForwardSpec>(&parsed)) {
        const bool may_lack_destination = kind != ForwardSpec::Kind::Local;
        must_hold(!spec->to.empty() || may_lack_destination);
        must_hold(spec->to.empty() || kind != ForwardSpec::Kind::Dynamic);
        must_hold(spec->path.empty() || spec->path[0] == '/');
        must_hold(spec->port <= 65535);
    }
}

void request(std::string_view bytes) {
    SocksRequest whole;
    const std::string answer = whole.take(bytes);
    SocksRequest cut;
    std::string answers;
    for (const char byte : bytes)
        answers += cut.take({&byte, 1});
    must_hold(whole.state() == cut.state());
    must_hold(answers == answer);
    must_hold(whole.to() == cut.to());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    parse(ForwardSpec::Kind::Local, bytes);
    parse(ForwardSpec::Kind::Dynamic, bytes);
    parse(ForwardSpec::Kind::Remote, bytes);
    const auto stdio = frsh::parse_stdio_forward(bytes);
    if (const auto* const to = std::get_if<std::vector<std::string>>(&stdio)) {
        must_hold(to->size() == 2 || (to->size() == 1 && (*to)[0].starts_with('/')));
    }
    request(bytes);
    return 0;
}
