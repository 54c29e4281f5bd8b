#include "server/login/bound_key.hpp"

#include "common/keys/crypto.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace frsh {
namespace {

constexpr std::size_t kNameBytes = 16;

// A text and no text differ.
void append(WireWriter& writer, const std::optional<std::string>& text) {
    writer.string(text ? "+" + *text : "");
}

void append(WireWriter& writer, const std::vector<std::string>& list) {
    writer.u32(static_cast<std::uint32_t>(list.size()));
    for (const std::string& text : list)
        writer.string(text);
}

}  // namespace

std::string name_of_bound_key(const AuthorizedKey& key) {
    WireWriter writer;
    writer.string(key.key.blob());
    append(writer, key.command);
    append(writer, key.from);
    append(writer, key.principals);
    append(writer, key.permit_open);
    append(writer, key.permit_listen);
    for (const auto& [name, value] : key.environment)
        writer.string(name).string(value);
    for (const bool may : {key.may_have_pty, key.may_connect(), key.may_listen()})
        writer.string(may ? "+" : "");
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string name;
    for (const char c : sha256(writer.bytes()).substr(0, kNameBytes)) {
        const auto byte = static_cast<unsigned char>(c);
        name.append({kDigits[byte / 16], kDigits[byte % 16]});
    }
    return name;
}

}  // namespace frsh
