// Fuzzes a command line, whose words are separated by NUL bytes: it is accepted, or refused in one
// printable line.
#include "client/cli/ssh_names.hpp"
#include "client/cli/ssh_options.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> words;
    for (const std::string_view word : frsh::split(text, '\0'))
        words.emplace_back(word);
    const auto takes_value = [](const std::string& name) -> std::optional<bool> {
        if (name.size() % 3 == 0) return std::nullopt;
        return name.size() % 3 == 1;
    };
    const auto parsed = frsh::parse_ssh_options(words, takes_value);
    if (const auto* const why = std::get_if<std::string>(&parsed)) {
        frsh::must(!why->empty(), "a refusal says why");
        return 0;
    }
    const auto& options = std::get<frsh::SshOptions>(parsed);
    frsh::must(options.target.empty() || options.target[0] != '-', "no host is an option");
    frsh::must(options.words.size() <= words.size(), "no word comes from nowhere");
    frsh::must(options.settings.port.value_or(0) <= 65535, "a port is a port");
    (void)frsh::expand_tokens(options.settings.proxy_command.value_or(""), {{'h', "host"}});
    (void)frsh::is_safe_host(options.target);
    return 0;
}
