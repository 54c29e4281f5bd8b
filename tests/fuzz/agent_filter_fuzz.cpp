// The requests of a program on the server for the agent of this side.
#include "client/forward/agent_filter.hpp"
#include "common/base/error.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

// Returns all requests; the last one is empty if the bytes were refused.
std::vector<frsh::AgentRequest> read_all(std::string_view bytes, std::size_t step) {
    std::vector<frsh::AgentRequest> found;
    frsh::AgentRequests requests;
    try {
        while (!bytes.empty()) {
            requests.feed(bytes.substr(0, step));
            bytes.remove_prefix(std::min(step, bytes.size()));
            while (auto request = requests.next())
                found.push_back(*std::move(request));
        }
    } catch (const frsh::ProtocolError&) {
        found.emplace_back();
    }
    return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto whole = read_all(bytes, size + 1);
    const auto pieces = read_all(bytes, 7);
    must_hold(whole.size() == pieces.size());
    std::string_view rest = bytes;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const frsh::AgentRequest& request = whole[i];
        must_hold(request.message == pieces[i].message);
        if (request.message.empty()) break;
        // What passes is what came, and nothing but the two kinds.
        must_hold(rest.starts_with(request.message));
        rest.remove_prefix(request.message.size());
        const auto type = static_cast<unsigned char>(request.message[4]);
        using Kind = frsh::AgentRequest::Kind;
        must_hold((request.kind != Kind::List) || (type == 11 && request.message.size() == 5));
        must_hold((request.kind != Kind::Sign) || type == 13);
        if (request.kind == Kind::Sign) (void)frsh::purpose_of(request.data);
    }
    return 0;
}
