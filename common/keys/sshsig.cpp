#include "common/keys/sshsig.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/crypto.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstdint>
#include <utility>

namespace frsh {
namespace {

constexpr std::string_view kSignatureMagic = "SSHSIG";
constexpr std::string_view kHash = "sha512";
constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kSignatureBegin = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view kSignatureEnd = "-----END SSH SIGNATURE-----";
constexpr std::size_t kSignatureLineLength = 70;

}  // namespace

std::string sshsig_signed_data(std::string_view name_space, std::string_view message) {
    must(!name_space.empty(), "a signature has a namespace");
    return WireWriter()
        .raw(kSignatureMagic)
        .string(name_space)
        .string("")  // Reserved.
        .string(kHash)
        .string(sha512(message))
        .take();
}

std::string sign_sshsig(const PrivateKey& key, std::string_view name_space,
                        std::string_view message) {
    return key.sign(sshsig_signed_data(name_space, message));
}

bool verify_sshsig(const PublicKey& key, std::string_view name_space, std::string_view message,
                   std::string_view signature, Presence presence) {
    return key.verify(sshsig_signed_data(name_space, message), signature, presence);
}

std::string armor(const ArmoredSignature& signature) {
    const std::string blob = WireWriter()
                                 .raw(kSignatureMagic)
                                 .u32(kVersion)
                                 .string(signature.key.blob())
                                 .string(signature.name_space)
                                 .string("")
                                 .string(kHash)
                                 .string(signature.signature)
                                 .take();
    const std::string encoded = base64_encode(blob);
    std::string text = std::string(kSignatureBegin) + "\n";
    for (std::size_t at = 0; at < encoded.size(); at += kSignatureLineLength) {
        text += encoded.substr(at, kSignatureLineLength) + "\n";
    }
    return text + std::string(kSignatureEnd) + "\n";
}

ArmoredSignature dearmor(std::string_view text) {
    const auto refuse = [](const char* why) -> void {
        throw ProtocolError(std::string("armored signature: ") + why);
    };
    std::string encoded;
    for (const std::string_view line : split(text, '\n')) {
        const std::string_view trimmed = line.substr(0, line.find_last_not_of("\r ") + 1);
        encoded += trimmed;
    }
    if (!encoded.starts_with(kSignatureBegin) || !encoded.ends_with(kSignatureEnd) ||
        encoded.size() < kSignatureBegin.size() + kSignatureEnd.size()) {
        refuse("not between its two lines");
    }
    const auto blob = base64_decode(std::string_view(encoded).substr(
        kSignatureBegin.size(), encoded.size() - kSignatureBegin.size() - kSignatureEnd.size()));
    if (!blob) refuse("not base64");

    WireReader reader(*blob, "armored signature");
    if (reader.take(kSignatureMagic.size()) != kSignatureMagic)
        reader.refuse("not an SSH signature");
    if (reader.u32() != kVersion) reader.refuse("a version that frsh does not know");
    PublicKey key = PublicKey::from_blob(reader.string());
    std::string name_space(reader.string());
    if (name_space.empty()) reader.refuse("no namespace");
    if (!reader.string().empty()) reader.refuse("its reserved field is used");
    if (reader.string() != kHash) reader.refuse("not hashed with sha512");
    std::string signature(reader.string());
    reader.finish();
    return {std::move(key), std::move(name_space), std::move(signature)};
}

}  // namespace frsh
