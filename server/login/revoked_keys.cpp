#include "server/login/revoked_keys.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"
#include "server/login/tool.hpp"

#include <algorithm>
#include <chrono>

namespace frsh {
namespace {

constexpr std::size_t kMaxRevokedKeys = std::size_t{16} << 20;
constexpr std::string_view kKrlMagic{"SSHKRL\n\0", 8};
constexpr std::chrono::seconds kKrlTime{5};

std::string take_field(std::string_view& rest) {
    constexpr std::string_view kBlanks = " \t\r";
    rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
    std::string field(rest.substr(0, rest.find_first_of(kBlanks)));
    rest.remove_prefix(field.size());
    return field;
}

std::string text_of(const Credential& credential) {
    if (!credential.certificate) return credential.key.text();
    const std::string& blob = credential.certificate->blob;
    // The type is the blob's first string: four bytes of its size, and the name.
    const auto size = static_cast<unsigned char>(blob[3]);
    return blob.substr(4, size) + " " + base64_encode(blob);
}

}  // namespace

bool is_in_key_list(std::string_view text, const Credential& credential) {
    for (std::string_view line : split(text, '\n')) {
        const std::string type = take_field(line);
        const std::string encoded = take_field(line);
        if (type.empty() || type[0] == '#') continue;
        const auto blob = base64_decode(encoded);
        if (!blob) continue;
        try {
            const PublicKey key = Credential::from_blob(*blob).key;
            if (key == credential.key) return true;
            if (credential.certificate && key == credential.certificate->authority) return true;
        } catch (const ProtocolError&) {
            continue;
        }
    }
    return false;
}

std::optional<std::string> find_revocation(const std::string& path, const Credential& credential) {
    std::string content;
    try {
        content = read_file(path, kMaxRevokedKeys);
    } catch (const SysError& error) {
        return std::string("the revoked keys cannot be read, so every key is refused: ") +
               error.what();
    }
    const std::string revoked = "the key is revoked (" + path + ")";
    if (!content.starts_with(kKrlMagic)) {
        if (is_in_key_list(content, credential)) return revoked;
        return std::nullopt;
    }
    const ToolResult result = run_tool({"/usr/bin/ssh-keygen", "-Q", "-f", path, "/dev/fd/3"},
                                       text_of(credential) + "\n", kKrlTime);
    if (result.status == 0) return std::nullopt;
    if (result.output.find(": REVOKED") != std::string::npos) return revoked;
    return "the revoked keys cannot be read, so every key is refused: ssh-keygen: " +
           result.last_line;
}

}  // namespace frsh
