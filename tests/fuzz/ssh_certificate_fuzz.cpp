// Fuzzes certificates, as blobs and as lines: what is accepted has one encoding, and every check
// of it ends without an error.
#include "common/base/error.hpp"
#include "common/keys/ssh_certificate.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

bool is_certificate(std::string_view blob) {
    try {
        static_cast<void>(frsh::Certificate::from_blob(blob));
        return true;
    } catch (const frsh::ProtocolError&) {
        return false;
    }
}

void judge(const frsh::Certificate& certificate, std::string_view blob) {
    frsh::must(certificate.blob == blob, "one spelling");
    for (const auto kind : {frsh::Certificate::Kind::User, frsh::Certificate::Kind::Host}) {
        const auto fault = frsh::find_fault(certificate, kind, 1'700'000'000);
        const bool may_be_valid = certificate.kind == kind && !certificate.unknown_option;
        frsh::must(fault || may_be_valid, "such a certificate is never valid");
    }
    static_cast<void>(frsh::names_principal(certificate, "alice", frsh::NoPrincipals::MatchNone));
    static_cast<void>(frsh::permits_address(certificate, "192.0.2.7"));
    for (const char c : certificate.describe())
        frsh::must(static_cast<unsigned char>(c) >= ' ', "a log line is printable");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        judge(frsh::Certificate::from_blob(input), input);
        frsh::must(!is_certificate(std::string(input) + "x"), "nothing may follow");
        frsh::must(!is_certificate(input.substr(0, size - 1)), "nothing may be missing");
        frsh::must(frsh::Credential::from_blob(input).certificate.has_value(), "it is one");
    } catch (const frsh::ProtocolError&) {
    }
    try {
        const auto certificate = frsh::parse_certificate_line(input);
        judge(certificate, certificate.blob);
    } catch (const frsh::ProtocolError&) {
    }
    return 0;
}
