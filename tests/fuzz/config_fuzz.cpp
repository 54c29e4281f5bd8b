// Configuration files of client and server: whatever they say is taken within its bounds, or
// refused in one line; and the same for what `ssh -G` prints.
#include "client/cli/config.hpp"
#include "client/cli/ssh_config.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "server/config.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

void check_text(const std::string& text) {
    frsh::must(text.find('\0') == std::string::npos, "no text has a NUL");
}

void check_settings(const frsh::ConnectionSettings& settings) {
    frsh::must(settings.port.value_or(0) <= 65535, "a port is one");
    for (const std::string& identity : settings.identities) {
        frsh::must(!identity.empty(), "an empty text is none");
        check_text(identity);
    }
    for (const auto* const text : {&settings.address, &settings.user, &settings.via})
        check_text(text->value_or(""));
    frsh::must(!settings.connect_timeout || settings.connect_timeout->count() >= 0,
               "no time is negative");
}

void check_refusal(const frsh::UserError& error, std::size_t lines) {
    const std::string_view why = error.what();
    frsh::must(why.starts_with("F:"), "a refusal says where");
    const std::string_view rest = why.substr(2);
    const auto line = frsh::parse_number(rest.substr(0, rest.find(':')), 1, lines + 1);
    frsh::must(line.has_value(), "and the line is one of the file");
    frsh::must(frsh::escape_controls(why) == why, "a refusal is one line, and printable");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t lines = frsh::split(input, '\n').size();
    try {
        const frsh::ClientConfig config = frsh::parse_client_config(input, "F");
        check_settings(config.defaults);
        frsh::must(!config.defaults.via, "a connection is one host's");
        for (const auto& [name, settings] : config.hosts)
            check_settings(settings);
    } catch (const frsh::UserError& error) {
        check_refusal(error, lines);
    }
    try {
        const frsh::ServerSettings settings = frsh::parse_server_config(input, "F");
        check_text(settings.host_key);
        check_text(settings.audit);
        check_text(settings.unix_path.value_or(""));
        frsh::must(!settings.permit_root_login.value_or(false) ||
                       input.find("true") != std::string_view::npos,
                   "root gets in only where somebody said so");
        // In TOML no other line can begin like this, but one within a text of several.
        frsh::must(settings.allow_users || !input.starts_with("allow_users"), "a rule holds");
    } catch (const frsh::UserError& error) {
        check_refusal(error, lines);
    }
    // Without "Host" and "Match" the settings are for every host, so they must not be overlooked.
    const frsh::ConnectionSettings said = frsh::parse_ssh_answer(input).options.settings;
    if (said.user && frsh::to_lower(input).find("host") == std::string::npos) {
        frsh::must(frsh::may_speak_of(input, "h"), "a user that is said is asked for");
    }
    static_cast<void>(frsh::may_speak_of(input, "host.example"));
    return 0;
}
