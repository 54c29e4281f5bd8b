// Fuzzes the message decoder: the cutting makes no difference, an accepted message is within its
// limits, and an encoded message decodes to the same one.
#include "common/base/error.hpp"
#include "common/proto/message.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace {

void check_bounds(const frsh::Message& message) {
    if (const auto* const open = std::get_if<frsh::msg::Open>(&message)) {
        must_hold(frsh::is_run_id(open->run));
        for (const auto* const entries : {&open->env, &open->forwarded}) {
            for (const std::string& entry : *entries)
                must_hold(entry.find('=') != std::string::npos && entry[0] != '=');
        }
        for (const std::string& arg : open->args)
            must_hold(arg.find('\0') == std::string::npos);
    } else if (const auto* const data = std::get_if<frsh::msg::Data>(&message)) {
        must_hold(data->bytes.size() <= frsh::kMaxData);
    } else if (const auto* const end = std::get_if<frsh::msg::End>(&message)) {
        const int code = frsh::exit_code(end->outcome);
        must_hold(code >= 0 && code <= 255);
        must_hold(frsh::describe(end->outcome).find('\x1b') == std::string::npos);
    }
}

// Encodes each message again.
std::vector<std::string> decode(std::string_view bytes, std::size_t cut, std::string& problem) {
    frsh::MessageDecoder decoder;
    std::vector<std::string> messages;
    try {
        while (!bytes.empty()) {
            decoder.frames().feed(bytes.substr(0, cut));
            bytes.remove_prefix(std::min(cut, bytes.size()));
            while (const auto message = decoder.next()) {
                check_bounds(*message);
                messages.emplace_back();
                frsh::encode(messages.back(), *message);
            }
        }
    } catch (const frsh::ProtocolError& error) {
        problem = error.what();
    }
    return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 200'000) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    std::string problem;
    const auto whole = decode(bytes, size + 1, problem);
    for (const std::size_t cut : {1, 13}) {
        std::string other;
        must_hold(whole == decode(bytes, cut, other) && problem == other);
    }
    for (const std::string& one : whole) {
        std::string none;
        const auto again = decode(one, one.size(), none);
        must_hold(none.empty() && again.size() == 1 && again[0] == one);
    }
    return 0;
}
