// sshd's AuthorizedPrincipalsFile: a line opens an account only for a principal that it names, and
// with each of its options.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/ssh_wire.hpp"
#include "server/login/authorized_principals.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

// Its signature is malformed, which does not count here.
frsh::Certificate certificate_for(std::string_view name) {
    const std::string point(32, '\x09');
    const std::string key = frsh::WireWriter().string("ssh-ed25519").string(point).take();
    frsh::WireWriter writer;
    writer.string("ssh-ed25519-cert-v01@openssh.com").string("nonce").string(point);
    writer.u32(0).u32(0).u32(1).string("id").string(frsh::WireWriter().string(name).take());
    writer.u32(0).u32(0).u32(~0U).u32(~0U).string("").string("").string("").string(key).string("");
    return frsh::Certificate::from_blob(writer.take());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const frsh::Certificate deploy = certificate_for("deploy");
    static const frsh::Certificate stranger = certificate_for("no one \t has this name #");
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    frsh::must(!frsh::find_principal(input, stranger), "no line has this name");
    const auto entry = frsh::find_principal(input, deploy);
    const auto more = frsh::find_principal(std::string(input) + "\ndeploy\n", deploy);
    if (!entry) {
        frsh::must(!more || more->line == frsh::split(input, '\n').size() + 1, "only the new line");
        return 0;
    }
    frsh::must(more && more->line == entry->line, "the first line counts");
    const auto lines = frsh::split(input, '\n');
    frsh::must(entry->line >= 1 && entry->line <= lines.size(), "an entry has a line");
    std::string line = frsh::to_lower(lines[entry->line - 1]);
    frsh::must(line.find("deploy") != std::string::npos, "the line names the principal");
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    const auto begins = [&](std::string_view what) { return line.starts_with(what); };
    frsh::must(!begins("command=") || entry->command.has_value(), "a command stays one");
    frsh::must(!begins("from=") || entry->from.has_value(), "a place stays one");
    frsh::must(!begins("expiry-time=") || entry->expires.has_value(), "an end stays one");
    frsh::must(!begins("no-pty ") || !entry->may_have_pty, "restricted stays restricted");
    frsh::must(!begins("cert-authority") && !begins("principals="), "sshd refuses these");
    frsh::must(entry->principals == "deploy" && entry->key == deploy.key, "of this certificate");
    return 0;
}
