// authorized_keys: no line that begins with an option is ever read as if it had none.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "server/login/authorized_keys.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto lines = frsh::split(input, '\n');
    const auto read = frsh::parse_authorized_keys(input);
    for (const frsh::AuthorizedKey& key : read.keys) {
        frsh::must(key.line >= 1 && key.line <= lines.size(), "a key has a line");
        const std::string line = frsh::to_lower(lines[key.line - 1]);
        const std::string start = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
        const auto begins = [&](std::string_view what) { return start.starts_with(what); };
        frsh::must(!begins("command=") || key.command.has_value(), "a command stays one");
        frsh::must(!begins("from=") || key.from.has_value(), "a place stays one");
        frsh::must(!begins("expiry-time=") || key.expires.has_value(), "an end stays one");
        const bool is_restricted = begins("restrict") && line.find(",pty") == std::string::npos;
        frsh::must(!is_restricted || !key.may_have_pty, "restricted stays restricted");
        frsh::must(!begins("no-pty ") || !key.may_have_pty, "restricted stays restricted");
        frsh::must(!begins("cert-authority") || key.is_authority, "an authority stays one");
        frsh::must(begins("ssh-") || begins("ecdsa-") || begins("sk-") || begins("command=") ||
                       begins("from=") || begins("expiry-time=") || begins("environment=") ||
                       begins("restrict") || begins("no-") || begins("pty") || begins("verify-") ||
                       begins("permit") || begins("tunnel=") || begins("agent-") ||
                       begins("port-") || begins("cert-authority") || begins("principals=") ||
                       begins("x11-") || begins("user-rc"),
                   "only what we know");
        static_cast<void>(frsh::find_refusal(key, "192.0.2.7", {}));
    }
    for (const std::string& why : read.skipped) {
        frsh::must(frsh::escape_controls(why) == why, "reasons are printable");
    }
    return 0;
}
