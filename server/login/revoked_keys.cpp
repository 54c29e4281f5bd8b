#include "server/login/revoked_keys.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/ssh_wire.hpp"
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

// Returns true if the blob begins with the name in front of it. As in sshd, the names of RSA's
// signatures stand for RSA.
bool has_type(std::string_view blob, const std::string& type) {
    std::string name = type;
    if (name.starts_with("rsa-sha2-"))
        name.replace(0, std::string("rsa-sha2-512").size(), "ssh-rsa");
    return !type.empty() && blob.starts_with(WireWriter().string(name).bytes());
}

// Returns true for keys that sshd reads and frsh never accepts: DSA, and RSA of other sizes.
bool is_key_for_sshd_only(std::string_view blob) {
    try {
        WireReader reader(blob, "key");
        const std::string_view name = reader.string();
        if (name != "ssh-dss" && name != "ssh-rsa") return false;
        for (int left = name == "ssh-dss" ? 4 : 2; left > 0; --left) {
            if (reader.string().empty()) return false;
        }
        reader.finish();
        return true;
    } catch (const ProtocolError&) {
        return false;
    }
}

}  // namespace

KeyListVerdict find_in_key_list(std::string_view text, const Credential& credential) {
    using Kind = KeyListVerdict::Kind;
    std::size_t number = 0;
    for (std::string_view line : split(text, '\n')) {
        ++number;
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (line.empty() || line[0] == '#') continue;
        const std::string type = take_field(line);
        const auto blob = base64_decode(take_field(line));
        if (!blob || !has_type(*blob, type)) return {Kind::Broken, number};
        try {
            const PublicKey key = Credential::from_blob(*blob).key;
            const bool is_it = key == credential.key ||
                               (credential.certificate && key == credential.certificate->authority);
            if (is_it) return {Kind::Listed, number};
        } catch (const ProtocolError&) {
            if (!is_key_for_sshd_only(*blob)) return {Kind::Broken, number};
        }
    }
    return {};
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
        const KeyListVerdict verdict = find_in_key_list(content, credential);
        if (verdict.kind == KeyListVerdict::Kind::NotListed) return std::nullopt;
        if (verdict.kind == KeyListVerdict::Kind::Listed) return revoked;
        return "line " + std::to_string(verdict.line) + " of " + path +
               " is no key, so every key is refused";
    }
    const ToolResult result = run_tool({"/usr/bin/ssh-keygen", "-Q", "-f", path, "/dev/fd/3"},
                                       text_of(credential) + "\n", kKrlTime);
    if (result.status == 0) return std::nullopt;
    if (result.output.find(": REVOKED") != std::string::npos) return revoked;
    return "the revoked keys cannot be read, so every key is refused: ssh-keygen: " +
           result.last_line;
}

}  // namespace frsh
